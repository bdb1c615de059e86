"""What each speed-up does: the same film with it and without it, turn by turn in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shotstream.core.errors import WeightsError
from shotstream.tools.bench.figures import Effect
from shotstream.tools.bench.films import film, first_frames
from shotstream.tools.bench.script import script
from shotstream.tools.bench.setups import SPEEDUPS, Dtype, Load, Setup, setup_of


@dataclass(frozen=True, slots=True)
class _Run:
    """None where it was not measured."""

    end_to_end_fps: float | None = None
    denoise_fps: float | None = None
    first_frame: float | None = None


def effect(name: str, load: Load, *, dtype: Dtype, shots: int, samples: int, repeats: int) -> Effect:
    """Make a film of ``shots`` shots and ask for ``samples`` more, ``repeats`` times with and without the speed-up.

    What it cannot change is not measured. One that does not work here says why.
    """
    speedup = SPEEDUPS[name]
    base = setup_of(speedup.beside, dtype)
    other = speedup.switch(base)
    sides = (base, other) if speedup.ships_on else (other, base)
    told = {"name": name, "what": speedup.what, "ships_on": speedup.ships_on, "beside": speedup.beside}
    shots = 0 if speedup.acts_on == "first frame" else shots
    samples = 0 if speedup.acts_on == "film" else samples
    try:
        pairs = _pairs(sides, load, shots, samples, repeats, speedup.settling)
    except (RuntimeError, WeightsError) as fault:  # torch.compile without a compiler, a model without a light decoder
        return Effect(**told, failed=f"{type(fault).__name__}: {str(fault).strip().splitlines()[0]}")
    return Effect(
        **told,
        end_to_end=_median([_ratio(with_it.end_to_end_fps, without.end_to_end_fps) for with_it, without in pairs]),
        denoise=_median([_ratio(with_it.denoise_fps, without.denoise_fps) for with_it, without in pairs]),
        first_frame=_median([_ratio(without.first_frame, with_it.first_frame) for with_it, without in pairs]),
        fps_with=_median([with_it.end_to_end_fps for with_it, _ in pairs]),
        fps_without=_median([without.end_to_end_fps for _, without in pairs]),
    )


def _pairs(
    sides: tuple[Setup, Setup], load: Load, shots: int, samples: int, repeats: int, settling: int
) -> list[tuple[_Run, _Run]]:
    """``repeats`` pairs of runs (with, without), each side first in turn, behind ``settling`` shots."""
    directors = [side.director(load) for side in sides]

    def run(side: int) -> _Run:
        first = median(first_frames(directors[side], samples, sides[side])) if samples else None
        if not shots:
            return _Run(first_frame=first)
        report = film(directors[side], script(shots), sides[side]).report
        return _Run(report.end_to_end_fps, report.denoise_fps, first)

    for director, side in zip(directors, sides, strict=True):
        film(director, script(settling), side)
    pairs = []
    for repeat in range(repeats):
        order = (0, 1) if repeat % 2 == 0 else (1, 0)
        found = {side: run(side) for side in order}
        pairs.append((found[0], found[1]))
    return pairs


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value / other


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
