"""``shotstream models pull``, ``convert``, ``adapt``, ``plan``: weights from elsewhere, and the memory they take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say
from shotstream.core.errors import InputError


def pull(
    name: Annotated[str, typer.Argument(help="A preset (wan-1.3b), or the hub id of a model in our layout.")],
    local: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Folder that may hold the published files; repeat it.", metavar="FOLDER"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded originals, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Fetch a model: what is not in --from folders comes from the Hugging Face hub, resumed and checked."""
    from shotstream.tools.pull import pull as fetch

    folder = fetch(name, local=local or [], keep=keep, tell=say)
    if as_json:
        put_json({"name": name, "folder": str(folder)})
    else:
        put(str(folder))


def convert(
    source: Annotated[Path, typer.Argument(help="Weight file, or a folder that holds it.", metavar="SRC")],
    output: Annotated[Path, typer.Argument(help="Folder, or a .safetensors file.", metavar="DST")],
    preset: Annotated[
        str | None, typer.Option(help="Preset, or its JSON file [default: the known one that fits].", metavar="P")
    ] = None,
    to: Annotated[Literal["shotstream", "diffusers"], typer.Option(help="Layout to write.")] = "shotstream",
    role: Annotated[Literal["student", "teacher", "critic"], typer.Option(help="What these weights are.")] = "student",
    dtype: Annotated[
        Literal["keep", "float32", "bfloat16", "int8"],
        typer.Option(help="Number format of the matrix products' weights; int8 packs them into bytes, for storage."),
    ] = "keep",
    levels: Annotated[
        int, typer.Option(help="With int8: whole numbers from -N to N; fewer compress further.", metavar="N")
    ] = 127,
    base: Annotated[
        Path | None, typer.Option(help="Weights that adapters (generator_lora) belong to.", metavar="FILE")
    ] = None,
    codecs: Annotated[
        Path | None, typer.Option(help="Folder with Wan's codecs [default: SRC, if it is a folder].", metavar="FOLDER")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Convert weights: Wan's release, the reference's .pt files, diffusers or ours; to ours, or to diffusers."""
    import torch

    from shotstream.tools.convert import convert as change
    from shotstream.tools.convert_codecs import bring_codecs

    done = change(
        source,
        output,
        to=to,
        named=preset,
        role=role,
        dtype=None if dtype == "keep" else getattr(torch, dtype),
        levels=levels,
        base=base,
        force=force,
    )
    brought = []
    if to == "shotstream" and output.suffix != ".safetensors" and (codecs or source.is_dir()):
        brought = bring_codecs(codecs or source, output, force=force)
        if codecs and not brought:
            raise InputError(f"{codecs}: holds none of Wan's codecs; name the folder of Wan's release")
    if as_json:
        put_json({**done.model_dump(), "codecs": brought})
        return
    put(done.output)
    say(
        f"{done.layout} weights as {to}: preset {done.preset}, {done.parameters / 1e6:.2f}M parameters, "
        f"{done.bytes / 1e6:.1f} MB{'; codecs: ' + ', '.join(brought) if brought else ''}"
    )


def adapt(
    source: Annotated[
        Path, typer.Argument(help="Adapters as peft writes them, their folder, or whole weights.", metavar="SRC")
    ],
    output: Annotated[Path, typer.Argument(help="A .safetensors file beside --base.", metavar="DST")],
    base: Annotated[Path, typer.Option(help="The weights they were trained on: teacher.safetensors.", metavar="FILE")],
    role: Annotated[Literal["student", "teacher", "critic"], typer.Option(help="What both make.")] = "student",
    rank: Annotated[
        int | None, typer.Option(min=1, help="Of whole weights: singular values kept of each difference.", metavar="N")
    ] = None,
    levels: Annotated[
        int, typer.Option(min=1, max=127, help="Whole numbers from -N to N, a byte each.", metavar="N")
    ] = 127,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Keep weights as what they add to others beside them: a small file of low-rank adapters, loaded like any."""
    from shotstream.tools.convert_adapters import convert_adapters

    done = convert_adapters(source, output, base=base, role=role, rank=rank, levels=levels, force=force)
    if as_json:
        put_json(done.model_dump())
        return
    put(done.output)
    say(
        f"{role}: adds rank {done.rank} to {done.base}, {done.kept:.1%} of the squared difference; "
        f"{done.bytes / 1e6:.2f} MB"
    )


def plan(
    name: Annotated[str, typer.Argument(help="Preset, folder, or pulled hub id.")] = "wan-1.3b",
    size: options.Size = None,
    memory: options.Memory = None,
    light_decoder: options.LightDecoder = False,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    as_json: options.Json = False,
) -> None:
    """Say what a model with Wan's codecs will take of the memory, without loading it."""
    from shotstream.tools.model_plan import plan_of

    found = plan_of(name, device=device, dtype=dtype, size=size, memory=memory, light_decoder=light_decoder)
    if as_json:
        put_json({**found.model_dump(), "fits": found.fits})
        return
    for line in found.lines():
        put(line)
    if not found.fits:
        say("that does not fit")
