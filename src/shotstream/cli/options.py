"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from shotstream.core.story import MAX_SEED

DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")]
DtypeName = Literal["auto", "float32", "bfloat16"]
Dtype = Annotated[DtypeName, typer.Option(help="Number format of the model; auto takes the fastest this device has.")]
Model = Annotated[str, typer.Option(help="Preset, folder or hub id.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Seed = Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Names every random draw.", metavar="N")]
STORY_HELP = "Story (YAML, JSON, or prompts of HoloCine, LongLive, Infinity-RoPE); FILE:3 is line 3; - reads stdin."
