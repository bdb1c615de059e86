"""``shotstream models``: which weights there are and what they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import model_weights, options
from shotstream.cli.console import put, put_json, say

if TYPE_CHECKING:
    from shotstream.tools.weight_files import WeightFile

app = typer.Typer(help="Which weights there are; fetching and converting others.", rich_markup_mode=None)
app.command("pull")(model_weights.pull)
app.command("convert")(model_weights.convert)
app.command("adapt")(model_weights.adapt)
app.command("plan")(model_weights.plan)
SHORT = 100  # characters of a header's value shown to a person


@app.command("list")
def list_models(as_json: options.Json = False) -> None:
    """List the weight files that ship with the package."""
    from shotstream.tools.weight_files import bundled_files

    found = bundled_files()
    if as_json:
        put_json({"files": [file.model_dump(exclude={"metadata"}) for file in found]})
        return
    for file in found:
        put(_line(file))
    if not found:
        say("no weights are bundled with this build of the package")


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A bundled file's name, or a path.", metavar="NAME|FILE")],
    as_json: options.Json = False,
) -> None:
    """Print what a weight file's header says: kind, version, sizes, what it was trained on."""
    from shotstream.core.errors import WeightsError
    from shotstream.tools.weight_files import bundled_files, describe_file

    bundled = {file.name.removesuffix(".safetensors"): file for file in bundled_files()}
    file = bundled.get(name.removesuffix(".safetensors"))
    if file is None:
        if not Path(name).is_file():
            raise WeightsError(f"{name}: no such weights; shotstream models list shows the bundled ones")
        file = describe_file(Path(name))
    if as_json:
        put_json(file.model_dump())
        return
    put(_line(file))
    for key, value in file.metadata.items():
        put(f"  {key}: {value if len(value) <= SHORT else value[:SHORT] + ' ...'}")


def _line(file: WeightFile) -> str:
    return (
        f"{file.name}  {file.kind} {file.version}  {file.parameters / 1e6:.2f}M parameters, {file.bytes / 1e6:.1f} MB"
    )
