"""Causal consistency: on Gaussian ground the student becomes the teacher's own map from noise to clean, and the stage
learns from neighbouring points what many steps of its teacher say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import one_number
import pytest
import torch
from pydantic import ValidationError
from runs import ignore
from torch import Tensor, nn

from shotstream.core.flow import STEPS, FlowSchedule, sigma_like
from shotstream.families.preset import read_preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.prompts import Branches
from shotstream.sampling.solvers import euler, euler_states
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotBatch, NextShotSettings
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.methods.losses import guided_flow, teacher_forced_flow
from shotstream.training.stages.causal_consistency import (
    CausalConsistencyRecipe,
    CausalConsistencyStage,
    consistency_loss,
    neighbours,
)

MEAN, WIDTH, GRID = 0.7, 0.4, 12
Make = Callable[..., CausalConsistencyStage]


def gaussian_flow(x: Tensor, timesteps: Tensor) -> Tensor:
    """E[noise - x0 | x_t = x] where x0 is normal with MEAN and WIDTH: the exact flow, by Bayes' rule."""
    s = (timesteps / STEPS).reshape(*timesteps.shape, *(1,) * (x.dim() - timesteps.dim()))
    variance = (1 - s) ** 2 * WIDTH**2 + s**2
    off = x - (1 - s) * MEAN
    return s * off / variance - (MEAN + (1 - s) * WIDTH**2 * off / variance)


class LinePerTimestep(nn.Module):
    """x0 = a x + b, with an a and a b for every timestep of the grid: all that a Gaussian's flow map can be."""

    def __init__(self, grid: Tensor) -> None:
        super().__init__()
        self.grid = grid
        self.line = nn.Parameter(torch.zeros(len(grid), 2))

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        place = (timesteps[..., None] - self.grid).abs().argmin(-1)
        a, b = self.line[place].reshape(*timesteps.shape, 1, 1, 1, 2).unbind(-1)
        return (x - (a * x + b)) / sigma_like(timesteps.clamp(min=1), x)


def test_on_gaussian_ground_the_student_becomes_the_teachers_map_from_noise_to_clean() -> None:
    grid = torch.tensor(FlowSchedule(shift=3.0).euler(GRID), dtype=torch.float32)
    student, generator = LinePerTimestep(grid), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.05)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1500)
    for _ in range(1500):
        here, after = neighbours(grid, 128, 6, 3, generator)
        x0 = MEAN + WIDTH * torch.randn(128, 6, 1, 1, 1, generator=generator)
        s = (here / STEPS)[:, :, None, None, None]
        noisy = (1 - s) * x0 + s * torch.randn(x0.shape, generator=generator)
        consistency_loss(student, student, gaussian_flow, noisy, here, after).backward()
        optimiser.step()
        decay.step()
        optimiser.zero_grad()
    noise = torch.linspace(-2, 2, 9).reshape(9, 1, 1, 1, 1).expand(9, 3, 1, 1, 1)

    def teacher(x: Tensor, timestep: float) -> Tensor:
        return gaussian_flow(x, torch.full(x.shape[:2], timestep))

    *states, end = euler_states(teacher, noise, grid.tolist())
    for timestep, state in zip(grid[:-1], states, strict=True):
        times = timestep.expand(state.shape[:2])
        said = state - timestep / STEPS * student(state, times)
        torch.testing.assert_close(said, end, atol=0.04, rtol=0)  # from every point of a path, where the path ends
    assert end.std() > 0.3  # not all at the mean, which one step of the teacher would say


def test_where_noise_ends_is_known_without_an_ode() -> None:
    """The ground of the comparison with trajectories: many steps of its flow end at the quantile of the same rank."""
    noise = torch.linspace(-2.5, 2.5, 60).reshape(10, 6, 1, 1, 1)
    steps = one_number.SCHEDULE.euler(1500)
    *_, end = euler_states(lambda x, t: one_number.teacher(x, torch.full(x.shape[:2], t)), noise, steps)
    torch.testing.assert_close(end, one_number.where_it_ends(noise), atol=5e-3, rtol=0)


def test_one_step_of_either_student_ends_near_there() -> None:
    untrained = one_number.errors(one_number.Student())
    for student, passes in (one_number.by_trajectories(128, 300, 64), one_number.by_consistency(300, 64)):
        assert passes <= 300 * 64
        assert one_number.errors(student)[1] < 0.25 < 0.5 < untrained[1]


def test_every_block_draws_a_step_of_the_grid_of_its_own() -> None:
    grid = torch.tensor([1000.0, 800, 500, 0])
    here, after = neighbours(grid, 50, 6, 3, torch.Generator().manual_seed(0))
    assert set(zip(here.flatten().tolist(), after.flatten().tolist(), strict=True)) == {
        (1000, 800),
        (800, 500),
        (500, 0),
    }
    assert (here[:, :3] == here[:, :1]).all() and (here[:, 0] != here[:, 3]).any()


@pytest.fixture
def make(material: MaterialSettings, preset_file: str, tiny_model: Path, store: Path) -> Make:
    def made(**changed: Any) -> CausalConsistencyStage:
        settings: dict[str, Any] = {
            "preset": preset_file,
            "material": material,
            "samples": NextShotSettings(batch=4, lengths={6: 1.0}, caption_drop=0),
            "grid": 6,
            "guidance": 3.0,
            "start": str(tiny_model / "student.safetensors"),
            "optimiser": OptimiserSettings(kind="adamw", rate=2e-3, ema=0.9),
            "loop": LoopSettings(updates=6, warmup=0, decay=0, save_every=4, look_every=1000, dtype="float32"),
        }
        return CausalConsistencyStage(CausalConsistencyRecipe.model_validate(settings | changed), store, ignore)

    return made


@torch.no_grad()
def test_over_a_grid_of_one_step_the_target_is_where_the_guided_teacher_ends_at_once(make: Make) -> None:
    stage = make(grid=1, history_noise=0.0)
    batch = stage.sampler.batch(random.Random(0))
    teacher, noise = cast(Transformer, stage.roles["student"].module), torch.randn(batch.target.shape)
    times = torch.full(batch.target.shape[:2], 1000.0)

    def student(x: Tensor, at: Tensor) -> Tensor:
        return teacher_forced_flow(teacher, batch.context, batch.caption, batch.target, x, at, 3)

    def guided(x: Tensor, at: Tensor) -> Tensor:
        return guided_flow(teacher, batch, batch.target, x, at, 3, Branches(3.0))

    loss = consistency_loss(student, student, guided, noise, times, torch.zeros_like(times))
    silent = replace(batch.context, captions=torch.zeros_like(batch.context.captions))
    other = teacher_forced_flow(teacher, silent, torch.zeros_like(batch.caption), batch.target, noise, times, 3)
    # x0 = x - v at sigma 1: what is left is the guidance, 2 (cond - uncond).
    torch.testing.assert_close(loss, (2 * (student(noise, times) - other)).square().mean())


@pytest.mark.parametrize("target_ema", [0.0, 0.8])
def test_a_resumed_run_is_the_uninterrupted_run(make: Make, tmp_path: Path, target_ema: float) -> None:
    whole, broken = (Run(make(target_ema=target_ema), tmp_path / name) for name in ("whole", "broken"))
    whole.train(ignore)

    def stop(progress: object) -> None:
        if broken.update == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.train(stop)
    resumed = Run(make(target_ema=target_ema), tmp_path / "broken")
    assert resumed.resume() and resumed.update == 4
    resumed.train(ignore)
    curves = [read_curve(tmp_path / name / "curve.jsonl") for name in ("whole", "broken")]
    assert curves[0] == curves[1]


def test_one_pass_comes_to_end_where_many_steps_of_the_teacher_do(make: Make, tmp_path: Path) -> None:
    loop = LoopSettings(updates=240, warmup=2, decay=0.5, look_every=1000, dtype="float32")
    stage = make(loop=loop, target_ema=0.5, guidance=40.0)
    preset, model = stage.preset, stage.model
    batch = stage.sampler.batch(random.Random(5))
    noise = torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(7))

    @torch.no_grad()
    def end(model: Transformer, guidance: float, steps: int) -> Tensor:
        def flow(x: Tensor, timestep: float) -> Tensor:
            times = torch.full(x.shape[:2], timestep)
            return guided_flow(model, batch, batch.target, x, times, 3, Branches(guidance))

        return euler(flow, lambda step: noise, timesteps=preset.schedule.euler(steps))

    wanted, before = end(model, 40.0, 6), end(model, 1.0, 1)
    Run(stage, tmp_path).train(ignore)
    after = end(model, 1.0, 1)
    assert (after - wanted).square().mean() < 0.6 * (before - wanted).square().mean()
    assert read_preset(tmp_path / "preset.json").student.guidance == 1


def test_an_average_is_not_sharded(make: Make) -> None:
    sharded = LoopSettings(updates=2, sharded=True)
    with pytest.raises(ValidationError, match="target_ema: the average is whole in every process"):
        make(target_ema=0.9, loop=sharded)


def test_history_reaches_the_loss(make: Make) -> None:
    """With other true blocks before it, the second block's targets are others."""
    stage = make(history_noise=0.0)
    first = stage.loss(0, "student").loss
    batch = stage.sampler.batch
    other = torch.randn(4, 3, *stage.preset.geometry.latent_shape)

    def changed(draw: random.Random) -> NextShotBatch:
        drawn = batch(draw)
        return replace(drawn, target=torch.cat([other, drawn.target[:, 3:]], dim=1))

    stage.sampler.batch = changed  # type: ignore[method-assign]
    assert stage.loss(0, "student").loss != first
