"""``shotstream bench``: how fast is it here, and what makes it so?"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.tools.bench.figures import Figures

PICTURE = Path("images") / "block.png"  # beside the page
Only = Annotated[
    list[str] | None, typer.Option(help="Also measure what this speed-up does by itself; repeat it.", metavar="NAME")
]
Without = Annotated[list[str] | None, typer.Option(help="Measure without this speed-up; repeat it.", metavar="NAME")]
Including = Annotated[
    list[str] | None, typer.Option("--with", help="Measure with one that ships off; repeat it.", metavar="NAME")
]


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A short look: too few shots for a figure to quote.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Also measure what every speed-up does by itself.")] = False,
    only: Only = None,
    without: Without = None,
    including: Including = None,
    studio: Annotated[
        bool, typer.Option("--studio", help="Also drive the studio's page in Chromium (needs Playwright).")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option(help="Only calculate what this GPU could do with wan-1.3b; measures nothing.", metavar="GPU"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Put the figures into this page, between its marks, with bench.json and a picture beside it.",
            metavar="PAGE.md",
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Write figures recorded by --json again; measures nothing.", metavar="FILE.json")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw where one block's time goes.", metavar="FILE.png")] = None,
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    steps: options.Steps = None,
    as_json: options.Json = False,
) -> None:
    """Measure speed and memory on this machine, against its ceilings and against the naive way.

    Speeds exclude loading the model and one warm-up block. Let nothing else run meanwhile.
    """
    if plan is not None:
        _plan(plan, as_json)
        return
    if report is not None or picture is not None:
        _can_draw(report)
    if figures is not None:
        from shotstream.tools.bench.figures import read_figures

        found = read_figures(figures)
    else:
        switched = _switched(without or [], including or [])
        named = _each(only or [], each=each)
        found = _measure(model, device, dtype, steps, switched, quick=quick, each=named, studio=studio)
    if report is not None:
        _report(found, report)
    if picture is not None:
        from shotstream.tools.bench.picture import draw_block

        draw_block(found.block, picture)
        say(str(picture))
    if as_json:
        put_json(found.model_dump(mode="json"))
    elif report is None:
        _tell(found)


def _switched(without: list[str], including: list[str]) -> list[str]:
    """The speed-ups that are not as they ship. Raises :class:`InputError` for one that is unknown, or is so already."""
    from shotstream.tools.bench.setups import SPEEDUPS, setup_of

    setup_of([*without, *including])
    for option, names, ships_on in (("--without", without, True), ("--with", including, False)):
        for name in names:
            if SPEEDUPS[name].ships_on != ships_on:
                raise InputError(f"{option} {name}: it ships {'off' if ships_on else 'on'}; leave it out")
    return [*without, *including]


def _each(names: list[str], *, each: bool) -> list[str]:
    """The speed-ups to measure one by one. Raises :class:`InputError` for one that is unknown."""
    from shotstream.tools.bench.setups import SPEEDUPS, setup_of

    setup_of(names)
    return list(SPEEDUPS) if each else names


def _can_draw(page: Path | None) -> None:
    """Find out before minutes of measuring whether there is somewhere to put it, and something to draw with."""
    import_module("matplotlib")
    if page is not None:
        from shotstream.tools.bench.page import parts_of

        parts_of(page)


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
    from shotstream.tools.bench.studio import studio_figures

    effort = QUICK if quick else FULL
    seen = studio_figures(model, device, dtype, steps, effort.samples) if studio else None
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
    if seen is None:
        return found
    return found.model_copy(update={"shoot_to_first_frame": seen[0], "presented_fps": seen[1]})


def _report(found: Figures, page: Path) -> None:
    """Page, figures and picture."""
    from shotstream.core.files import write_text
    from shotstream.tools.bench.page import write_page
    from shotstream.tools.bench.picture import draw_block

    drawn = page.parent / PICTURE
    write_page(found, page, PICTURE.as_posix())
    drawn.parent.mkdir(exist_ok=True)
    draw_block(found.block, drawn)
    recorded = page.with_name("bench.json")
    write_text(recorded, found.model_dump_json(indent=1) + "\n")
    for path in (page, recorded, drawn):
        say(str(path))


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


def _tell(found: Figures) -> None:
    """For a person: the page's tables."""
    from shotstream.tools.bench.page import busy, lines_of

    for line in lines_of(found):
        put(line)
    if busy(found):
        say(f"other work was running (load per core {found.machine.load:.1f}): these figures are too low")
