"""What each speed-up does: the same film with it and without it, turn by turn in one run."""

from __future__ import annotations

from statistics import median

from shotstream.tools.bench.figures import Effect
from shotstream.tools.bench.films import film, first_frames
from shotstream.tools.bench.script import script
from shotstream.tools.bench.setups import SPEEDUPS, Dtype, Load, Setup, setup_of

Run = tuple[float, float, float]  # end-to-end fps, denoise fps, seconds to first frame


def effect(name: str, load: Load, *, dtype: Dtype, shots: int, samples: int, repeats: int) -> Effect:
    """Make a film of ``shots`` shots and ask for ``samples`` more, ``repeats`` times with and without the speed-up.

    One film each is made before, not measured. A speed-up that does not work here says why.
    """
    speedup = SPEEDUPS[name]
    base = setup_of(speedup.beside, dtype)
    other = speedup.switch(base)
    sides = (base, other) if speedup.ships_on else (other, base)
    told = {"name": name, "what": speedup.what, "ships_on": speedup.ships_on, "beside": speedup.beside}
    try:
        pairs = _pairs(sides, load, shots, samples, repeats)
    except RuntimeError as fault:  # torch.compile without a compiler, for one
        return Effect(**told, failed=f"{type(fault).__name__}: {str(fault).strip().splitlines()[0]}")
    return Effect(
        **told,
        end_to_end=median(with_it[0] / without[0] for with_it, without in pairs),
        denoise=median(with_it[1] / without[1] for with_it, without in pairs),
        first_frame=median(without[2] / with_it[2] for with_it, without in pairs),
        fps_with=median(with_it[0] for with_it, _ in pairs),
        fps_without=median(without[0] for _, without in pairs),
    )


def _pairs(sides: tuple[Setup, Setup], load: Load, shots: int, samples: int, repeats: int) -> list[tuple[Run, Run]]:
    """``repeats`` pairs of runs (with, without), which of them comes first changing in turn."""
    story = script(shots)
    directors = [side.director(load) for side in sides]

    def run(side: int) -> Run:
        report = film(directors[side], story, sides[side]).report
        first = median(first_frames(directors[side], samples, sides[side]))
        return report.end_to_end_fps, report.denoise_fps, first

    for side in (0, 1):
        run(side)
    pairs = []
    for repeat in range(repeats):
        order = (0, 1) if repeat % 2 == 0 else (1, 0)
        found = {side: run(side) for side in order}
        pairs.append((found[0], found[1]))
    return pairs
