"""Runs ``shotstream bench``: all measurements, in an order in which none disturbs another."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from shotstream.core.errors import InputError, WeightsError
from shotstream.families.preset import SamplerSettings
from shotstream.film.director import Director
from shotstream.tools.bench.breakdown import look
from shotstream.tools.bench.figures import BaselineFigures, Effect, Figures, Machine, Startup
from shotstream.tools.bench.films import film, first_frames, spread
from shotstream.tools.bench.naive import NaiveGenerator
from shotstream.tools.bench.roofline import LARGE, SMALLER, OwnMatmuls, matmul_ceiling
from shotstream.tools.bench.setups import GLOBAL_CAPTION, SPEEDUPS, Dtype, Load, Setup, captions, script, setup_of

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How much is measured."""

    shots: int = 50  # of the long film
    samples: int = 30  # prompts to first frames
    looked_at: int = 8  # shots of the film under the watch
    naive: int = 5  # shots of the baseline's film
    side: int = LARGE
    starts: int = 5
    effect_shots: int = 10
    effect_samples: int = 6
    repeats: int = 3


FULL = Effort()
QUICK = Effort(
    shots=12, samples=6, looked_at=3, naive=2, side=SMALLER, starts=1, effect_shots=3, effect_samples=2, repeats=1
)


def bench(
    load: Load,
    model: str,
    device: str,
    *,
    dtype: Dtype = "auto",
    switched: Sequence[str] = (),
    each: Sequence[str] = (),
    effort: Effort = FULL,
    tell: Tell,
) -> Figures:
    """Measure the model that ``load`` gives. ``switched``: speed-ups to do without (or with, where they ship off).

    each: speed-ups of which to measure also what they do by themselves. ``tell`` hears what is going on. Raises
    :class:`InputError` for a speed-up that does not exist, and as ``load`` does.
    """
    setup = setup_of(switched, dtype)
    found: dict[str, Any] = {"machine": _machine(), "switched": tuple(switched), "quick": effort == QUICK}
    load = cache(load)
    director = setup.director(load)
    found |= _films(director, setup, effort, tell)
    found |= _work(director, effort, tell)
    tell("cold starts")
    found["startup"] = startup(model, device, setup.dtype, effort.starts)
    tell("the plain implementation")
    found["baseline"] = _baseline(load, effort)
    if each:
        found["effects"] = _effects(each, load, dtype, effort, tell)
    return Figures(**found)


def _films(director: Director, setup: Setup, effort: Effort, tell: Tell) -> dict[str, Any]:
    """One long film, then shots asked for one by one."""
    tell(f"a film of {effort.shots} shots")
    long = film(director, script(effort.shots), setup)
    tell("from prompt to first frame")
    firsts = first_frames(director, effort.samples, setup)
    same = {"end_to_end_fps", "denoise_fps", "seconds_to_first_frame", "peak_memory_bytes", "frames"}
    same |= {"model", "model_version", "device", "dtype"}
    return long.report.model_dump(include=same) | {
        "shots": effort.shots,
        "prompt_to_first_frame": spread(firsts),
        "shot_cost_growth": long.cost_growth(),
        "growth_shots": long.growth_shots(),
        "memory_growth": long.memory_growth(),
        "memory_shots": long.memory_shots(),
        "sampler": _sampler(director.generator.settings),
    }


def _work(director: Director, effort: Effort, tell: Tell) -> dict[str, Any]:
    """Where the time goes, and how near that is to what the machine can do."""
    tell("where the time goes")
    looked = look(director, script(effort.looked_at))
    tell("ceilings")
    generator, device = director.generator, director.device
    own = OwnMatmuls.of(
        generator.model.config, director.geometry, generator.text_encoder.text_len, director.dtype, device
    )
    ceiling, same_shape = matmul_ceiling(device, director.dtype, effort.side), own.ceiling(device)
    return {
        "breakdown": looked.breakdown,
        "block": looked.block,
        "matmul_ceiling": ceiling,
        "same_shape_ceiling": same_shape,
        "model_flops_utilization": looked.denoise_flops / ceiling,
        "same_shape_utilization": looked.denoise_flops / same_shape,
    }


def _baseline(load: Load, effort: Effort) -> BaselineFigures:
    """The same weights in float32, the plain implementation."""
    full = load("float32", False)
    naive = Director(NaiveGenerator(full.generator), model_name=full.model_name, model_version=full.model_version)
    report = film(naive, script(effort.naive), Setup(overlap=False)).report
    return BaselineFigures(
        end_to_end_fps=report.end_to_end_fps,
        denoise_fps=report.denoise_fps,
        seconds_to_first_frame=median(shot.seconds_to_first_frame for shot in report.shots),
    )


def _effects(names: Sequence[str], load: Load, dtype: Dtype, effort: Effort, tell: Tell) -> tuple[Effect, ...]:
    """What each of ``names`` does by itself."""
    found = []
    for name in names:
        tell(f"with and without {name}")
        work = {"shots": effort.effect_shots, "samples": effort.effect_samples, "repeats": effort.repeats}
        found.append(effect(name, load, dtype=dtype, **work))
    return tuple(found)


def _sampler(settings: SamplerSettings) -> str:
    return f"{settings.kind}, {settings.passes} steps, guidance {settings.guidance:g}"


def _machine() -> Machine:
    """This machine, before anything is measured on it."""
    cores = os.cpu_count() or 1
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=names[0] if names else platform.processor() or platform.machine(),
        cores=cores,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        load=os.getloadavg()[0] / cores if hasattr(os, "getloadavg") else None,
    )


IMPORT = "from time import perf_counter as now; began = now(); import shotstream; print(now() - began)"
HELP = """
import sys
from shotstream.cli.main import main
main(["--help"])
print("torch" in sys.modules, file=sys.stderr)
"""
# What `shotstream generate` does, with a look at the clock when the first block is there.
GENERATE = """
import sys, time
from shotstream.cli.main import main
from shotstream.api import render_story
model, device, dtype, prompt, shot, output, began = sys.argv[1:]
story = {"global_caption": prompt, "shots": [{"caption": shot, "seconds": 0.5}]}
def look(progress):
    if progress.blocks_done == 1:
        print(time.time() - float(began), flush=True)
render_story(story, output, model=model, device=device, dtype=dtype, on_progress=look)
"""


def startup(model: str, device: str, dtype: str, repeats: int) -> Startup:
    """Medians of ``repeats`` starts; files are in the system's cache by then, bytecode is as it is."""
    helps = [_timed(HELP) for _ in range(repeats)]
    with TemporaryDirectory(prefix="shotstream-bench-") as folder:
        arguments = (model, device, dtype, GLOBAL_CAPTION, captions(1)[0], str(Path(folder) / "film.mp4"))
        first = float(_run(GENERATE, *arguments, str(time.time())).stdout)
    return Startup(
        import_seconds=median(float(_run(IMPORT).stdout) for _ in range(repeats)),
        help_seconds=median(seconds for seconds, _ in helps),
        help_loads_torch=any(said.strip() == "True" for _, said in helps),
        generate_to_first_frame_seconds=first,
    )


def _timed(code: str) -> tuple[float, str]:
    """Seconds of a process that runs ``code``, and what it says on standard error."""
    began = time.perf_counter()
    said = _run(code).stderr
    return time.perf_counter() - began, said


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)


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
    except (RuntimeError, InputError, WeightsError) as fault:  # no compiler, no such kernel here, no light decoder
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
