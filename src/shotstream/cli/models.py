"""``shotstream models``: list, fetch and convert weights, and estimate the memory they take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

if TYPE_CHECKING:
    import torch

    from shotstream.checkpoints.model_files import WeightFile
    from shotstream.checkpoints.quantisation import Form

app = typer.Typer(help="List, fetch and convert weights; estimate the memory they take.", rich_markup_mode=None)
SHORT = 100  # characters of a header's value shown to a person
Alpha = Annotated[float | None, typer.Option(min=0, help="Alpha of a LoRA whose file does not state it.", metavar="N")]


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A preset (wan-1.3b), or the hub id of a model in our layout.")],
    local: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Folder that may hold the published files; repeatable.", metavar="FOLDER"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded originals, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Fetch a model: what is not in --from folders comes from the Hugging Face hub, resumed and checked."""
    from shotstream.checkpoints.pull import pull as fetch

    folder = fetch(name, local=local or [], keep=keep, tell=say)
    if as_json:
        put_json({"name": name, "folder": str(folder)})
    else:
        put(str(folder))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Weight file, or a folder that holds it.", metavar="SRC")],
    output: Annotated[Path, typer.Argument(help="Folder, or a .safetensors file.", metavar="DST")],
    preset: Annotated[
        str | None, typer.Option(help="Preset, or its JSON file [default: the known one that fits].", metavar="P")
    ] = None,
    to: Annotated[Literal["shotstream", "diffusers"], typer.Option(help="Layout to write.")] = "shotstream",
    role: Annotated[Literal["student", "teacher", "critic"], typer.Option(help="What these weights are.")] = "student",
    dtype: Annotated[
        Literal["keep", "float32", "bfloat16", "int8", "int4"],
        typer.Option(help="Number format of the matrices; int8 and int4 quantise them, for storage."),
    ] = "keep",
    base: Annotated[Path | None, typer.Option(help="Weights that a LoRA belongs to.", metavar="FILE")] = None,
    alpha: Alpha = None,
    entry: Annotated[
        str | None,
        typer.Option(help="Which network of a checkpoint with several, such as generator_ema.", metavar="NAME"),
    ] = None,
    codecs: Annotated[
        Path | None,
        typer.Option(help="Folder with the codecs [default: SRC, if it is one].", metavar="FOLDER"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Convert weights: Wan's release, the reference's .pt files, diffusers or ours; to ours, or to diffusers."""
    from shotstream.checkpoints.convert import convert as change
    from shotstream.checkpoints.convert_codecs import find_codecs

    wanted = to == "shotstream" and output.suffix != ".safetensors" and (codecs or source.is_dir())
    found = find_codecs(codecs or source, output, force=force, complete=codecs is not None) if wanted else []
    done = change(
        source,
        output,
        to=to,
        named=preset,
        role=role,
        dtype=_number_format(dtype),
        base=base,
        alpha=alpha,
        entry=entry,
        force=force,
    )
    for part in found:
        part.write()
    brought = [part.name for part in found]
    if as_json:
        put_json({**done.model_dump(), "codecs": brought})
        return
    put(done.output)
    say(
        f"{done.layout} weights as {to}: preset {done.preset}, {done.parameters / 1e6:.2f}M parameters, "
        f"{done.bytes / 1e6:.1f} MB{'; codecs: ' + ', '.join(brought) if brought else ''}"
    )
    if done.fits:
        say(f"the weights also fit {', '.join(done.fits)}, whose timesteps differ; choose with --preset")
    if done.also:
        say(f"took the entry {done.entry}; the file also has, for --entry: {', '.join(done.also)}")


def _number_format(name: Literal["keep", "float32", "bfloat16", "int8", "int4"]) -> torch.dtype | Form | None:
    """What the converter calls it."""
    import torch

    if name in ("int8", "int4"):
        return name
    return {"keep": None, "float32": torch.float32, "bfloat16": torch.bfloat16}[name]


@app.command()
def adapt(
    source: Annotated[Path, typer.Argument(help="A LoRA, peft's folder, or whole weights.", metavar="SRC")],
    output: Annotated[Path, typer.Argument(help="A .safetensors file beside --base.", metavar="DST")],
    base: Annotated[
        Path, typer.Option(help="Weights that SRC was trained from, such as teacher.safetensors.", metavar="FILE")
    ],
    role: Annotated[
        Literal["student", "teacher", "critic"], typer.Option(help="Role of both weight files.")
    ] = "student",
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of the adapters that are computed from whole weights.", metavar="N")
    ] = None,
    dtype: Annotated[
        Literal["keep", "int8", "int4"], typer.Option(help="Number format of the adapters: quantised, or kept.")
    ] = "int8",
    alpha: Alpha = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Store weights as low-rank adapters of the weights beside them: a small file that loads like any other."""
    from shotstream.checkpoints.convert import convert_adapters

    form = None if dtype == "keep" else dtype
    done = convert_adapters(source, output, base=base, role=role, rank=rank, form=form, alpha=alpha, force=force)
    if as_json:
        put_json(done.model_dump())
        return
    put(done.output)
    say(
        f"{role}: adds rank {done.rank} to {done.base}, {done.kept:.1%} of the squared difference; "
        f"{done.bytes / 1e6:.2f} MB"
    )


@app.command()
def plan(
    name: Annotated[str, typer.Argument(help="Preset, folder, or pulled hub id.")] = "wan-1.3b",
    size: options.Size = None,
    memory: options.Memory = None,
    light_decoder: options.LightDecoder = False,
    eight_bit: options.EightBit = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    as_json: options.Json = False,
) -> None:
    """Estimate how much memory a model with Wan's codecs takes, without loading it."""
    from shotstream.checkpoints.memory_plan import plan_of

    found = plan_of(
        name,
        device=device,
        dtype=dtype,
        size=size,
        memory=memory,
        light_decoder=light_decoder,
        eight_bit=eight_bit,
    )
    if as_json:
        put_json({**found.model_dump(), "fits": found.fits})
        return
    for line in found.lines():
        put(line)
    if not found.fits:
        say("that does not fit")


@app.command("list")
def list_models(as_json: options.Json = False) -> None:
    """List the weight files that ship with the package."""
    from shotstream.checkpoints.model_files import bundled_files

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
    from shotstream.checkpoints.model_files import bundled_files, describe_file
    from shotstream.core.errors import WeightsError

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
