"""Figures as Markdown: the measured part of docs/performance.md. What stands outside the marks is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.tools.bench.figures import Effect, Figures
from shotstream.tools.bench.roofline import GPUS, Plan, plan

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
BUSY = 0.25  # other work per core from which figures are not to be believed


def write_page(figures: Figures, page: Path, picture: str) -> None:
    """Put ``figures`` between the marks of ``page``. Raises :class:`InputError` if it has none."""
    before, after = parts_of(page)
    write_text(page, f"{before}{BEGIN}\n\n{measured(figures, picture)}\n\n{END}{after}")


def parts_of(page: Path) -> tuple[str, str]:
    """What stands before and behind the marks. Raises :class:`InputError`."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise InputError(f"{page}: has no lines {BEGIN} and {END}, between which the figures go; add them")
    return before, after


def measured(figures: Figures, picture: str) -> str:
    """Everything that was measured; ``picture`` is the path of the block's picture as the page says it."""
    sections = [
        _where(figures),
        _table(("figure", "measured", "wanted"), _headlines(figures)),
        "### Where the time goes",
        _table(("part", "ms per frame", "share"), _parts(figures)),
        f"![Where one block's time goes]({picture})",
        "### What each speed-up does",
        effects_table(figures.effects) if figures.effects else "Not measured in this run: `shotstream bench --each`.",
        "### What a GPU could do (calculated)",
        roofline_table([plan(gpu) for gpu in GPUS]),
    ]
    return "\n\n".join(sections)


def lines_of(figures: Figures) -> list[str]:
    """The figures as lines for a terminal."""
    lines = [_where(figures), ""]
    lines += [f"{name}: {value}{f' ({wanted})' if wanted else ''}" for name, value, wanted in _headlines(figures)]
    lines += ["", "where the time goes (ms per frame):"]
    lines += [f"  {name}: {value} ({share})" for name, value, share in _parts(figures)]
    if figures.effects:
        lines += ["", "speed-ups (end to end, denoising, first frame):"]
    lines += [f"  {one.name}: {', '.join(_ratios(one))}  {one.what}  {_verdict(one)}" for one in figures.effects]
    return lines


def effects_table(effects: Sequence[Effect]) -> str:
    """A line per speed-up, those that did not help included."""
    rows = [(f"`{one.name}`", one.what, *_ratios(one), _verdict(one)) for one in effects]
    head = ("speed-up", "what", "end to end", "denoising", "first frame", "")
    return _table(head, rows)


def roofline_table(plans: Iterable[Plan]) -> str:
    """Frames per second of ``wan-1.3b`` at 100, 60 and 40% of what each GPU can multiply."""
    rows = [
        (
            made.gpu,
            f"{roof.width}x{roof.height}",
            *(f"{fps:.1f}" for fps in roof.fps.values()),
            f"{roof.memory_bytes / 1e9:.1f} GB of {made.gpu_memory_bytes / 1e9:.0f}",
        )
        for made in plans
        for roof in made.sizes
    ]
    return _table(("GPU", "size", "100%", "60%", "40%", "weights and caches"), rows)


def busy(figures: Figures) -> bool:
    """Was there other work on the machine?"""
    return figures.machine.load is not None and figures.machine.load > BUSY


def _where(figures: Figures) -> str:
    machine = figures.machine
    said = (
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads, torch {machine.torch}; "
        f"{figures.model} {figures.model_version}, {figures.device}, {figures.dtype}; {figures.sampler}; "
        f"{figures.shots} shots, {figures.frames} frames."
    )
    if figures.switched:
        said += f" Switched: {', '.join(figures.switched)}."
    if figures.quick:
        said += " A quick look, not a measurement: `--quick`."
    if busy(figures):
        said += f" **Other work was running (load per core {machine.load:.1f}): these figures are too low.**"
    return said


def _headlines(figures: Figures) -> list[tuple[str, str, str]]:
    first, base, start = figures.prompt_to_first_frame, figures.baseline, figures.startup
    early, late = figures.growth_shots
    before, at_end = figures.memory_shots
    rows = [
        ("end to end", f"{figures.end_to_end_fps:.1f} frames/s", "at least 96"),
        ("denoising", f"{figures.denoise_fps:.1f} frames/s", ""),
        ("prompt to first frame, p50 / p95", f"{_ms(first.p50)} / {_ms(first.p95)}", "p95 at most 150 ms"),
        ("end to end over the naive way", _times(figures.end_to_end_fps, base.end_to_end_fps), "at least 2x"),
        ("denoising over the naive way", _times(figures.denoise_fps, base.denoise_fps), "at least 2.5x"),
        ("first frame sooner than the naive way's", _times(base.seconds_to_first_frame, first.p50), "at least 10x"),
        (
            f"cost of shots {late[0] + 1}-{late[1] + 1} over {early[0] + 1}-{early[1] + 1}",
            f"{figures.shot_cost_growth:.3f}",
            "at most 1.05",
        ),
        (f"memory at shot {at_end + 1} over shot {before + 1}", f"{figures.memory_growth:.3f}", "at most 1.02"),
        ("peak memory", f"{figures.peak_memory_bytes / 1e6:.0f} MB", ""),
        (
            "denoiser's share of the large-matmul ceiling",
            f"{figures.model_flops_utilization:.0%} of {figures.matmul_ceiling / 1e9:.0f} GFLOP/s",
            "at least 35%",
        ),
        (
            "its share of its own products' ceiling",
            f"{figures.same_shape_utilization:.0%} of {figures.same_shape_ceiling / 1e9:.0f} GFLOP/s",
            "",
        ),
        ("`import shotstream`", _ms(start.import_seconds), "under 150 ms"),
        (
            "`shotstream --help`",
            f"{_ms(start.help_seconds)}, {'loads' if start.help_loads_torch else 'without'} torch",
            "without torch",
        ),
        ("cold `generate` to first frame", f"{start.generate_to_first_frame_seconds:.1f} s", "under 5 s"),
    ]
    if figures.shoot_to_first_frame is not None:
        seen = figures.shoot_to_first_frame
        rows.append(("Shoot to first visible frame, p50 / p95", f"{_ms(seen.p50)} / {_ms(seen.p95)}", "under 300 ms"))
    if figures.presented_fps is not None:
        rows.append(("frames presented while typing", f"{figures.presented_fps:.1f} a second", "16"))
    return rows


def _parts(figures: Figures) -> list[tuple[str, str, str]]:
    work = figures.breakdown
    parts = work.parts()
    rows = [
        (name.replace("_", " "), f"{1e3 * seconds / work.frames:.2f}", f"{seconds / work.total:.1%}")
        for name, seconds in parts.items()
    ]
    return [*rows, ("all", f"{1e3 * work.total / work.frames:.2f}", "100%")]


def _ratios(one: Effect) -> tuple[str, str, str]:
    ratios = (one.end_to_end, one.denoise, one.first_frame)
    first, second, third = ("–" if ratio is None else f"{ratio:.2f}x" for ratio in ratios)
    return first, second, third


def _verdict(one: Effect) -> str:
    if one.failed:
        return f"did not run: {one.failed}"
    said = "" if one.ships_on else "off as shipped"
    if one.beside:
        said += f"{', ' if said else ''}without {', '.join(one.beside)}"
    return said


def _times(value: float, other: float) -> str:
    return f"{value / other:.1f}x"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
