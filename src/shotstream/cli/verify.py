"""``shotstream verify``: does this machine compute what the published model computed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

EXIT_ABOVE_TOLERANCE = 1


def verify(
    files: Annotated[list[Path], typer.Argument(help="Recorded reference tensors (.safetensors).", metavar="FILE")],
    device: options.DeviceName = "cpu",
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Number format to compute in.")] = "float32",
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest relative error allowed [default: 1e-5 in float32, 2e-2 in bfloat16].", metavar="X"
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Replay recorded reference tensors and print the error of every section; exit 1 above the tolerance."""
    from shotstream.tools.verify import verify as replay

    result = replay(files, device=device, dtype=dtype, tolerance=tolerance)
    if as_json:
        put_json(result)
    else:
        for path, sections in result["files"].items():
            for section, error in sections.items():
                put(f"{path}  {section}  {error:.2e}")
        say(f"largest relative error {result['max_relative_error']:.2e}, tolerance {result['tolerance']:.0e}")
    if not result["ok"]:
        say("above the tolerance: this is not the model that was recorded")
        raise typer.Exit(EXIT_ABOVE_TOLERANCE)
