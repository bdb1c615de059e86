"""What ``shotstream bench`` reports. Seconds, bytes, frames and operations per second; shots count from 0."""

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
