"""Options that several commands share, and those by which a model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError
from shotstream.core.story import MAX_SEED

DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")]
DtypeName = Literal["auto", "float32", "bfloat16"]
Dtype = Annotated[DtypeName, typer.Option(help="Number format of the model; auto takes the fastest this device has.")]
Model = Annotated[str, typer.Option(help="Preset, folder or hub id.", metavar="NAME")]
Size = Annotated[str | None, typer.Option(help="Size of the frames [default: the model's].", metavar="512x288")]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Steps per block [default: the model's]; fewer are faster.", metavar="N")
]
Memory = Annotated[
    float | None,
    typer.Option(min=0.1, help="Gigabytes to plan for, with Wan's codecs [default: what is free].", metavar="GB"),
]
LightDecoder = Annotated[
    bool,
    typer.Option("--light-decoder", help="Decode with the light decoder (Wan's: the folder's taew2_1.pth): faster."),
]
AttentionName = Literal["auto", "softmax", "sdpa", "flash", "fa3", "fa4", "cudnn", "efficient", "math"]
Attention = Annotated[AttentionName, typer.Option(help="Attention kernel; not every device has every one.")]
EightBit = Annotated[
    Literal["int8", "fp8", "fp8-matmuls"] | None,
    typer.Option(
        help="Hold the layers' weights in eight bits: half their memory, slightly other frames. fp8-matmuls also "
        "multiplies in fp8, on a GPU that can."
    ),
]
SpeedUps = Annotated[
    list[str] | None,
    typer.Option(
        "--with", help="Enable a speed-up that is off by default, on a CUDA device; repeatable.", metavar="NAME"
    ),
]
Loras = Annotated[
    list[str] | None,
    typer.Option("--lora", help="LoRA adapters to make shots with, FILE or FILE=WEIGHT; repeatable.", metavar="FILE"),
]
FILMS = Path("~/ShotStream")
Films = Annotated[Path, typer.Option(help="Folder in which films are kept.", metavar="DIR", show_default=str(FILMS))]
Cpus = Annotated[float, typer.Option(min=0.1, help="CPU cores of each Ray worker.")]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs of each Ray worker.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Seed = Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Random seed.", metavar="N")]
ContextPolicy = Annotated[
    PolicyName | None,
    typer.Option(help="How frames that condition a shot are chosen [default: the story's, or the model's]."),
]
STORY_HELP = "Story (YAML, JSON, or prompts of HoloCine, LongLive, Infinity-RoPE); FILE:3 is line 3; - reads stdin."


def _loading(
    device: DeviceName = "auto",
    dtype: Dtype = "auto",
    size: Size = None,
    steps: Steps = None,
    memory: Memory = None,
    light_decoder: LightDecoder = False,
    attention: Attention = "auto",
    eight_bit: EightBit = None,
    speedups: SpeedUps = None,
    lora: Loras = None,
) -> None:
    """The options of every command that loads a model to make films; named as :func:`shotstream.load` names them."""


def loads_model(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the options of :func:`_loading`, in the place of its parameter ``loading``: they arrive there
    together, as a :class:`shotstream.api.Loading`. A new one is a line above."""
    shared = signature(_loading, eval_str=True).parameters
    own = signature(command, eval_str=True).parameters.values()
    parameters = [one for mine in own for one in (shared.values() if mine.name == "loading" else (mine,))]

    @wraps(command)
    def run(**given: Any) -> None:
        if "sequence-parallel" in (given["speedups"] or ()):
            raise InputError(
                "--with sequence-parallel: every process would write the same film; docs/wan.md has a script"
            )
        command(loading={name: given.pop(name) for name in shared}, **given)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
