"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shotstream.core.story import MAX_SEED

DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")]
DtypeName = Literal["auto", "float32", "bfloat16"]
Dtype = Annotated[DtypeName, typer.Option(help="Number format of the model; auto takes the fastest this device has.")]
Model = Annotated[str, typer.Option(help="Preset, folder or hub id.", metavar="NAME")]
Size = Annotated[str | None, typer.Option(help="Size of the pictures [default: the model's].", metavar="512x288")]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Steps per block [default: the model's]; fewer are faster.", metavar="N")
]
Window = Annotated[
    int | None,
    typer.Option(min=2, help="Blocks of its shot a block sees [default: the model's]; fewer are faster.", metavar="N"),
]
Refresh = Annotated[
    bool | None,
    typer.Option(
        "--refresh/--no-refresh",
        help="Remember finished blocks by a pass of their own, or faster [default: the model's way].",
        show_default=False,
    ),
]
Memory = Annotated[
    float | None,
    typer.Option(min=0.1, help="Gigabytes to plan for, with Wan's codecs [default: what is free].", metavar="GB"),
]
LightDecoder = Annotated[
    bool,
    typer.Option("--light-decoder", help="Decode with the light decoder (Wan's: the folder's taew2_1.pth): faster."),
]
AttentionName = Literal["auto", "softmax", "sdpa", "flash", "cudnn", "efficient", "math"]
Attention = Annotated[AttentionName, typer.Option(help="Attention kernel; not every device has every one.")]
FILMS = Path("~/ShotStream")
Films = Annotated[Path, typer.Option(help="Folder in which films are kept.", metavar="DIR", show_default=str(FILMS))]
Cpus = Annotated[float, typer.Option(min=0.1, help="Cores Ray gives to each.")]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs Ray gives to each.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Seed = Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Names every random draw.", metavar="N")]
STORY_HELP = "Story (YAML, JSON, or prompts of HoloCine, LongLive, Infinity-RoPE); FILE:3 is line 3; - reads stdin."
