"""``shotstream bench``: everything that is measured, in the order in which it does not disturb what follows."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

from shotstream.film.director import Director
from shotstream.models.presets import SamplerSettings
from shotstream.tools.bench.breakdown import look
from shotstream.tools.bench.ceilings import LARGE, SMALLER, OwnProducts, matmul_ceiling
from shotstream.tools.bench.effects import effect
from shotstream.tools.bench.figures import BaselineFigures, Effect, Figures, Machine
from shotstream.tools.bench.films import film, first_frames, spread
from shotstream.tools.bench.naive import NaiveDirector
from shotstream.tools.bench.script import script
from shotstream.tools.bench.setups import Dtype, Load, Setup, setup_of
from shotstream.tools.bench.startup import startup

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
    tell("the naive way")
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
        "sampler": _sampler(director.shots.settings),
    }


def _work(director: Director, effort: Effort, tell: Tell) -> dict[str, Any]:
    """Where the time goes, and how near that is to what the machine can do."""
    tell("where the time goes")
    looked = look(director, script(effort.looked_at))
    tell("ceilings")
    shots, device = director.shots, director.device
    own = OwnProducts.of(shots.model.config, director.geometry, shots.text_encoder.text_len, director.dtype, device)
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
    """The same weights in float32, the naive way."""
    full = load("float32", False)
    naive = Director(NaiveDirector(full.shots), model_name=full.model_name, model_version=full.model_version)
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
    steps = len(settings.listed) if settings.kind == "few_step" else settings.steps
    return f"{settings.kind}, {steps} steps, guidance {settings.guidance:g}"


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
