"""The tiny model for benchmarks, and figures as a run leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shotstream.api import load
from shotstream.film.director import Director
from shotstream.tools.bench.figures import (
    BaselineFigures,
    BlockTime,
    Breakdown,
    Effect,
    Figures,
    Machine,
    Spread,
    Startup,
    Stretch,
)


@pytest.fixture
def load_tiny(tiny_model: Path) -> Callable[[str], Director]:
    """As the embedded model ships, blocks are remembered as their last step left them."""
    return lambda dtype, light=False: load(tiny_model, device="cpu", dtype=dtype, light_decoder=light, refresh=False)


@pytest.fixture
def director(load_tiny: Callable[[str], Director]) -> Director:
    return load_tiny("float32")


@pytest.fixture
def figures() -> Figures:
    work = Breakdown(
        frames=100,
        total=1.0,
        text=0.01,
        context_pass=0.09,
        denoising=0.5,
        cache_refresh=0.1,
        decode=0.15,
        encode=0.1,
        rest=0.05,
    )
    block = BlockTime(
        frames=12,
        timeline=(Stretch(name="step", start=0.01, end=0.04), Stretch(name="decode", start=0.05, end=0.06)),
        operations={"matmuls": 0.02, "norms": 0.01},
    )
    kept = Effect(
        name="bf16",
        what="bfloat16 products",
        ships_on=True,
        end_to_end=1.5,
        denoise=1.75,
        first_frame=1.25,
        fps_with=90.0,
        fps_without=60.0,
    )
    return Figures(
        end_to_end_fps=100.0,
        denoise_fps=160.0,
        prompt_to_first_frame=Spread(p50=0.1, p95=0.14),
        shot_cost_growth=1.01,
        memory_growth=1.002,
        model_flops_utilization=0.36,
        matmul_ceiling=6e11,
        same_shape_ceiling=4e11,
        peak_memory_bytes=500_000_000,
        baseline=BaselineFigures(end_to_end_fps=40.0, denoise_fps=50.0, seconds_to_first_frame=1.2),
        same_shape_utilization=0.54,
        seconds_to_first_frame=0.2,
        growth_shots=((1, 5), (45, 49)),
        memory_shots=(4, 49),
        breakdown=work,
        block=block,
        startup=Startup(
            import_seconds=0.05, help_seconds=0.4, help_loads_torch=False, generate_to_first_frame_seconds=3.2
        ),
        effects=(kept, Effect(name="compile", what="torch.compile", ships_on=False, failed="no compiler")),
        machine=Machine(processor="A processor", cores=2, threads=2, torch="2.13.0", load=0.1),
        model="tiny",
        model_version="student-1",
        device="cpu",
        dtype="bfloat16",
        sampler="few_step, 4 steps, guidance 1",
        switched=(),
        quick=False,
        shots=50,
        frames=1650,
    )
