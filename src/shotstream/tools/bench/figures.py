"""What ``shotstream bench`` reports, and how it is printed.

Seconds, bytes, frames and operations per second; shots count from 0.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from shotstream.core.config import Config, first_fault
from shotstream.core.errors import InputError


class Spread(Config):
    """Median and 95th percentile."""

    p50: float
    p95: float


class Breakdown(Config):
    """Seconds of a film made with nothing side by side, and how many frames it has."""

    frames: int
    total: float
    text: float  # captions, their embeddings, and the model's keys and values of them
    context_pass: float  # condition frames read, encoded, and written into the context cache
    denoising: float
    cache_refresh: float  # the clean half of a fused pass included
    decode: float
    encode: float  # lossless footage and MP4
    rest: float

    def parts(self) -> dict[str, float]:
        """Everything but the sum."""
        return {name: value for name, value in self.model_dump().items() if name not in ("frames", "total")}


class Stretch(Config):
    """One stretch of the work on one block, in seconds from its beginning."""

    name: str
    start: float
    end: float


class BlockTime(Config):
    """Where one block's time goes: on the clock, and inside its passes by kind of operation (seconds)."""

    frames: int
    timeline: tuple[Stretch, ...]
    operations: dict[str, float]


class BaselineFigures(Config):
    """The naive way, in the same run with the same weights."""

    end_to_end_fps: float
    denoise_fps: float
    seconds_to_first_frame: float


class Startup(Config):
    """Cold starts, each in a process of its own."""

    import_seconds: float
    help_seconds: float
    help_loads_torch: bool
    generate_to_first_frame_seconds: float


class Effect(Config):
    """What one speed-up does: medians with and without it, and the median ratio of neighbouring runs (above 1: faster).

    ``ships_on``: is it part of every film? ``beside``: other speed-ups that were off on both sides.
    ``failed``: why there is nothing to report.
    """

    name: str
    what: str
    ships_on: bool
    beside: tuple[str, ...] = ()
    end_to_end: float | None = None
    denoise: float | None = None
    first_frame: float | None = None
    fps_with: float | None = None
    fps_without: float | None = None
    failed: str = ""


class StudioFigures(Config):
    """The studio's page in a browser, while ``beside`` other processes keep a core busy each.

    ``block_interval``: seconds from a block to the next, as exact as the buckets of ``/metrics``. ``blocks_due``: that
    had to follow others in time; ``blocks_late`` of them did not, and the picture stood still for ``stood_seconds``.
    ``five_shots_seconds``: a film of five shots, written from an empty page while it plays.
    """

    beside: int
    shots: int
    shoot_to_first_frame: Spread
    block_interval: Spread | None
    blocks_due: int
    blocks_late: int
    stood_seconds: float
    presented_fps: float | None
    five_shots_seconds: float | None = None


class Machine(Config):
    """Where it was measured. ``load``: other work per core when it began, 0 to 1 and above; None where unknown."""

    processor: str
    cores: int
    threads: int
    torch: str
    load: float | None


class Figures(Config):
    """Everything. The first ten keys are stable."""

    end_to_end_fps: float
    denoise_fps: float
    prompt_to_first_frame: Spread
    shot_cost_growth: float
    memory_growth: float
    model_flops_utilization: float
    matmul_ceiling: float
    same_shape_ceiling: float
    peak_memory_bytes: int
    baseline: BaselineFigures
    same_shape_utilization: float
    seconds_to_first_frame: float
    growth_shots: tuple[tuple[int, int], tuple[int, int]]  # first and last shot on either side of the growth
    memory_shots: tuple[int, int]
    breakdown: Breakdown
    block: BlockTime
    startup: Startup
    effects: tuple[Effect, ...] = ()
    shoot_to_first_frame: Spread | None = None
    presented_fps: float | None = None
    studio: tuple[StudioFigures, ...] = ()
    machine: Machine
    model: str
    model_version: str
    device: str
    dtype: str
    sampler: str
    switched: tuple[str, ...]
    quick: bool
    shots: int
    frames: int


def read_figures(path: Path) -> Figures:
    """Figures that ``bench --json`` printed. Raises :class:`InputError`."""
    try:
        return Figures.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise InputError(f"{path}: cannot be read ({fault.strerror})") from fault
    except ValidationError as fault:
        raise InputError(f"{path}: {first_fault(fault, 'the file')}; measure again with bench --json") from fault


BUSY = 0.25  # other work per core from which figures are not to be believed


def lines_of(figures: Figures) -> list[str]:
    """The figures as lines for a terminal."""
    lines = [_where(figures), ""]
    lines += [f"{name}: {value}{f' ({wanted})' if wanted else ''}" for name, value, wanted in _headlines(figures)]
    lines += ["", "where the time goes (ms per frame):"]
    lines += [f"  {name}: {value} ({share})" for name, value, share in _parts(figures)]
    for seen in figures.studio:
        lines += ["", *studio_lines(seen)]
    if figures.effects:
        lines += ["", "speed-ups (end to end, denoising, first frame):"]
    lines += [f"  {one.name}: {', '.join(_ratios(one))}  {one.what}  {_verdict(one)}" for one in figures.effects]
    return lines


def studio_lines(seen: StudioFigures) -> list[str]:
    """The cadence of the studio as lines for a terminal, with what is wanted."""
    first, gap, beside = seen.shoot_to_first_frame, seen.block_interval, seen.beside
    late = f"{seen.blocks_late} of {seen.blocks_due} blocks late, {seen.stood_seconds:.1f} s stood still"
    rows = [
        (
            "Shoot to first visible frame, p50 / p95",
            f"{_ms(first.p50)} / {_ms(first.p95)}",
            "700 ms" if beside else "300 ms",
        ),
        ("deadlines at the film's rate", late, "under 1% late" if beside else "none late"),
        ("from block to block, p50 / p95", "–" if gap is None else f"{_ms(gap.p50)} / {_ms(gap.p95)}", ""),
        (
            "frames presented while typing",
            "–" if seen.presented_fps is None else f"{seen.presented_fps:.1f} a second",
            "16",
        ),
    ]
    if seen.five_shots_seconds is not None:
        rows.append(("five shots from an empty page, by keyboard", f"{seen.five_shots_seconds:.0f} s", "under 90 s"))
    where = f"beside {beside} busy processes" if beside else "with nothing beside it"
    head = f"the studio, {where}, {seen.shots} shots:"
    return [head, *(f"  {name}: {value}{f' ({wanted})' if wanted else ''}" for name, value, wanted in rows)]


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
        said += " A quick look, not a measurement (--quick)."
    if busy(figures):
        said += f" Other work was running (load per core {machine.load:.1f}): these figures are too low."
    return said


def _headlines(figures: Figures) -> list[tuple[str, str, str]]:
    first, base, start = figures.prompt_to_first_frame, figures.baseline, figures.startup
    early, late = figures.growth_shots
    before, at_end = figures.memory_shots
    rows = [
        ("end to end", f"{figures.end_to_end_fps:.1f} frames/s", "at least 96"),
        ("denoising", f"{figures.denoise_fps:.1f} frames/s", ""),
        ("prompt to first frame, p50 / p95", f"{_ms(first.p50)} / {_ms(first.p95)}", "p95 at most 150 ms"),
        (
            "end to end over the plain implementation",
            _times(figures.end_to_end_fps, base.end_to_end_fps),
            "at least 2x",
        ),
        ("denoising over the plain implementation", _times(figures.denoise_fps, base.denoise_fps), "at least 2.5x"),
        (
            "first frame sooner than the plain implementation's",
            _times(base.seconds_to_first_frame, first.p50),
            "at least 10x",
        ),
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
            "its share of its own matmuls' ceiling",
            f"{figures.same_shape_utilization:.0%} of {figures.same_shape_ceiling / 1e9:.0f} GFLOP/s",
            "",
        ),
        ("import shotstream", _ms(start.import_seconds), "under 150 ms"),
        (
            "shotstream --help",
            f"{_ms(start.help_seconds)}, {'loads' if start.help_loads_torch else 'without'} torch",
            "without torch",
        ),
        ("cold generate to first frame", f"{start.generate_to_first_frame_seconds:.1f} s", "under 5 s"),
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
