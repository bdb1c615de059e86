"""``shotstream bench``, ``verify`` and ``gpu-check``: what this machine computes, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.tools.bench.figures import Figures, StudioFigures

EXIT_ABOVE_TOLERANCE = 1  # of verify
PARTS = ("verify", "wan", "embedded", "training")  # of gpu-check
BUSY = 2  # processes beside the studio
STUDIO_SAMPLES = 14  # shots, with --studio-only
Only = Annotated[
    list[str] | None, typer.Option(help="Also measure what this speed-up does by itself; repeatable.", metavar="NAME")
]
Without = Annotated[list[str] | None, typer.Option(help="Measure without this speed-up; repeatable.", metavar="NAME")]
Including = Annotated[
    list[str] | None,
    typer.Option("--with", help="Measure with a speed-up that is off by default; repeatable.", metavar="NAME"),
]


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A quick run: too few shots for figures to quote.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Also measure what every speed-up does by itself.")] = False,
    only: Only = None,
    without: Without = None,
    including: Including = None,
    studio: Annotated[
        bool,
        typer.Option("--studio", help="Also drive the studio's page in Chromium, alone and beside two busy processes."),
    ] = False,
    studio_only: Annotated[
        bool, typer.Option("--studio-only", help="Measure the studio's page and nothing else: three or four minutes.")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option(help="Only calculate what this GPU could do with wan-1.3b; measures nothing.", metavar="GPU"),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Write figures recorded by --json again; measures nothing.", metavar="FILE.json")
    ] = None,
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    steps: options.Steps = None,
    as_json: options.Json = False,
) -> None:
    """Measure speed and memory on this machine, against its ceilings and against the plain implementation.

    Speeds exclude loading the model and one warm-up block. Let nothing else run meanwhile.
    """
    if plan is not None:
        _plan(plan, as_json)
        return
    if studio_only:
        _tell_studio(_studio(model, device, dtype, steps, samples=STUDIO_SAMPLES), as_json)
        return
    if figures is not None:
        from shotstream.tools.bench.figures import read_figures

        found = read_figures(figures)
    else:
        switched = _switched(without or [], including or [], device)
        named = _each(only or [], device, each=each)
        found = _measure(model, device, dtype, steps, switched, quick=quick, each=named, studio=studio)
    if as_json:
        put_json(found.model_dump(mode="json"))
    else:
        _tell(found)


def _switched(without: list[str], including: list[str], device: str) -> list[str]:
    """The speed-ups that are not as they ship. Raises :class:`InputError` for one that is unknown, or is so already."""
    from shotstream.core.devices import pick_device
    from shotstream.tools.bench.setups import SPEEDUPS, refuse_on_cpu, setup_of

    setup_of([*without, *including])
    for option, names, ships_on in (("--without", without, True), ("--with", including, False)):
        for name in names:
            if SPEEDUPS[name].ships_on != ships_on:
                raise InputError(f"{option} {name}: it is {'off' if ships_on else 'on'} by default; leave it out")
    if pick_device(device).type == "cpu":
        refuse_on_cpu(including)
    return [*without, *including]


def _each(names: list[str], device: str, *, each: bool) -> list[str]:
    """The speed-ups to measure one by one. Raises :class:`InputError` for one that is unknown."""
    from shotstream.core.devices import pick_device
    from shotstream.tools.bench.setups import SPEEDUPS, refuse_on_cpu, setup_of

    setup_of(names)
    on_cpu = pick_device(device).type == "cpu"
    if not each:
        if on_cpu:
            refuse_on_cpu(names)
        return names
    return [name for name, speedup in SPEEDUPS.items() if not (on_cpu and speedup.gpu_only)]


def _measure(
    model: str,
    device: str,
    dtype: options.DtypeName,
    steps: int | None,
    switched: list[str],
    *,
    quick: bool,
    each: Sequence[str],
    studio: bool,
) -> Figures:
    from shotstream.api import load
    from shotstream.tools.bench.run import FULL, QUICK, bench

    effort = QUICK if quick else FULL
    seen = _studio(model, device, dtype, steps, samples=effort.samples) if studio else ()
    found = bench(
        lambda numbers, light: load(model, device=device, dtype=numbers, steps=steps, light_decoder=light),
        model,
        device,
        dtype=dtype,
        switched=switched,
        each=each,
        effort=effort,
        tell=say,
    )
    if not seen:
        return found
    alone = {"shoot_to_first_frame": seen[0].shoot_to_first_frame, "presented_fps": seen[0].presented_fps}
    return found.model_copy(update={"studio": seen, **alone})


def _studio(
    model: str, device: str, dtype: options.DtypeName, steps: int | None, *, samples: int
) -> tuple[StudioFigures, ...]:
    """The studio alone, and beside :data:`BUSY` processes that keep a core busy each."""
    from shotstream.tools.bench.studio import studio_figures

    found = []
    for beside in (0, BUSY):
        say(f"the studio beside {beside} busy processes")
        found.append(studio_figures(model, device, dtype, steps, samples, beside))
    return tuple(found)


def _tell_studio(found: tuple[StudioFigures, ...], as_json: bool) -> None:
    from shotstream.tools.bench.figures import studio_lines

    if as_json:
        put_json({"studio": [one.model_dump(mode="json") for one in found]})
        return
    for one in found:
        for line in studio_lines(one):
            put(line)


def _plan(gpu: str, as_json: bool) -> None:
    from shotstream.tools.bench.roofline import plan as calculate

    made = calculate(gpu)
    if as_json:
        put_json(made.model_dump(mode="json"))
        return
    put(f"{made.gpu}: {made.flops / 1e12:.0f} TFLOP/s dense bf16, {made.gpu_memory_bytes / 1e9:.0f} GB; {made.preset}")
    for roof in made.sizes:
        speeds = ", ".join(f"{fps:.1f} at {share}" for share, fps in roof.fps.items())
        put(f"  {roof.width}x{roof.height}: {roof.flops_per_frame / 1e12:.2f} TFLOP a frame; frames/s: {speeds}")
        parts = f"weights {roof.weight_bytes / 1e9:.1f}, caches {roof.cache_bytes / 1e9:.1f}"
        parts += f", captions {roof.caption_bytes / 1e9:.1f}; text encoder and video codec come on top"
        put(f"    memory: {roof.memory_bytes / 1e9:.1f} GB{'' if roof.fits else ', does not fit'} ({parts})")
        for one in roof.expectations:
            put(f"    {one.fps:.1f} frames/s denoising at {one.share:.0%}: {one.measure}; {one.why}")


def _tell(found: Figures) -> None:
    """For a person."""
    from shotstream.tools.bench.figures import busy, lines_of

    for line in lines_of(found):
        put(line)
    if busy(found):
        say(f"other work was running (load per core {found.machine.load:.1f}): these figures are too low")


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


def gpu_check(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changed settings of the training: key=value.", metavar="KEY=VALUE")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long it may take in all.", metavar="N")] = 8,
    out: Annotated[Path, typer.Option(help="Folder for gpu-check.json and the trained weights.", metavar="DIR")] = Path(
        "gpu-check"
    ),
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this part ({', '.join(PARTS)}); repeatable.", metavar="PART")
    ] = None,
    recordings: Annotated[Path, typer.Option(help="Folder of the reference's recorded tensors.", metavar="DIR")] = Path(
        "tests/golden"
    ),
    device: options.DeviceName = "auto",
    as_json: options.Json = False,
) -> None:
    """Check, measure and train on this machine's GPU: the reference's recordings replayed, the speed of wan-1.3b (with
    random weights) and of the embedded model with every speed-up on and off, then the embedded model's training.

    Every part is cut off when its time is over, and what it measured is kept. Without a GPU all of it is of toy size.
    """
    from shotstream.tools.gpu_check.run import REPORT, describe
    from shotstream.tools.gpu_check.run import gpu_check as check

    for part in only or ():
        if part not in PARTS:
            raise InputError(f"--only {part}: no such part; use one of {', '.join(PARTS)}")
    for override in overrides or ():
        if "=" not in override:
            raise InputError(f"{override}: a changed setting looks like key=value")
    machine = describe(device)
    say(f"{machine.get('gpu', 'no GPU, toy sizes')}; torch {machine['torch']}; at most {minutes:g} minutes")
    asked: dict[str, Any] = {"device": machine["device"], "recordings": str(recordings), "out": str(out)}
    asked["settings"] = overrides or []
    parts = [part for part in PARTS if not only or part in only]
    report = check(out, asked, minutes=minutes, parts=parts, machine=machine, tell=say)
    if as_json:
        put_json({"machine": report.machine, "parts": report.parts})
    else:
        put(str(out / REPORT))
    failed = [part for part, told in report.parts.items() if told["status"] == "failed"]
    if failed:
        raise typer.Exit(1)
