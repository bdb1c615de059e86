"""Causal consistency distillation (arXiv 2605.15141, 2606.25473): few steps from the teacher's neighbouring points.

The teacher is a causal model of many steps, which the causal-flow stage leaves: a state of its ODE ends in exactly one
clean block, given the history. A true block is made noisy, and the guided teacher takes one step of its ODE to the next
timestep of a grid. From both ends of that step the student must predict the same clean block; what it predicts from
the less noisy end is the target. At timestep 0 the target is the state itself. From there the right answer spreads up
the grid, until the student predicts in one pass where the teacher's many steps would end. This is what causal
initialisation aims at, without stored trajectories.

History is clean and true in all passes. The released student is sampled in few steps (one or two are possible) and
needs no guidance.

Axes: B batch · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from shotstream.core.flow import add_noise, sigma_like, x0_from_flow
from shotstream.core.randomness import derive, stream
from shotstream.models.transformer import Transformer
from shotstream.sampling.prompts import Branches
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.engine.role_state import Ema
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import guided_flow, noisy_history, teacher_forced_flow
from shotstream.training.methods.transformer_stage import TransformerRecipe, TransformerStage
from shotstream.training.recipes import FOUR_STEPS, Cost, Networks, Report, few_steps, register, training_preset

Flow = Callable[[Tensor, Tensor], Tensor]  # noisy latents [B, F, C, h, w] and their timesteps [B, F] -> flow


@register
class CausalConsistencyRecipe(TransformerRecipe):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["causal-consistency"] = "causal-consistency"
    samples: NextShotSettings = NextShotSettings(caption_drop=0)
    grid: int = Field(default=48, gt=0)  # steps of the teacher's ODE from noise to clean
    guidance: float = Field(default=2.0, ge=0)  # of the teacher: uncond + g (cond - uncond)
    target_ema: float = Field(default=0.0, ge=0, lt=1)  # targets are this average of the student's weights; 0: its own
    history_noise: float = Field(default=0.1, ge=0)  # largest noise on the clean blocks
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: str  # the weights of the causal teacher, with which the student begins too; a file or "bundled"

    @model_validator(mode="after")
    def _an_average_is_whole(self) -> Self:
        if self.target_ema and self.loop.sharded:
            raise ValueError("target_ema: the average is whole in every process; set it to 0, or loop.sharded=false")
        return self

    def networks(self) -> Networks:
        network = Transformer(training_preset(self).transformer)
        average: Networks = {"target": (network, None)} if self.target_ema else {}
        return {"teacher": (network, None), **average, self.role: (network, self.optimiser)}

    def build(self, store: Path, progress: Report) -> CausalConsistencyStage:
        return CausalConsistencyStage(self, store, progress)

    def cost(self) -> Cost:
        return self.cost_of(sequence=2, more_passes=1 + (1 if self.guidance == 1 else 2))  # target and teacher


class CausalConsistencyStage(TransformerStage):
    """One role, ``student``."""

    def __init__(self, recipe: CausalConsistencyRecipe, store: Path, progress: Report) -> None:
        self.recipe = recipe
        preset = few_steps(training_preset(recipe), recipe.student_steps)
        super().__init__(recipe, preset, store, progress, start=recipe.start, starts_as="student", changes=True)
        self._teacher = copy.deepcopy(self.model).requires_grad_(False).eval()
        self._grid = torch.tensor(preset.schedule.euler(recipe.grid), dtype=torch.float32)
        self._average: Ema | None = None
        self._averaged_at = -1  # the update before which the average was last brought up to date

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe, block = self.recipe, self.preset.geometry.block_frames
        draw = random.Random(derive(recipe.seed, "batch", *names(update, part)))
        generator = stream(recipe.seed, "noise", *names(update, part))
        batch = self.sampler.batch(draw).to(self.model.device)
        clean = noisy_history(batch.target, recipe.history_noise, generator)
        count, frames = batch.target.shape[:2]
        here, after = neighbours(self._grid, count, frames, block, generator)
        noisy = add_noise(batch.target, torch.randn(batch.target.shape, generator=generator).to(batch.target), here)
        branches = Branches(recipe.guidance, self.material.unconditional)
        teacher, target = self._teacher.to(self.model.device), self._target(update)

        def flow_of(model: Transformer) -> Flow:
            context, caption, change = batch.context, batch.caption, batch.change
            return lambda x, times: teacher_forced_flow(model, context, caption, clean, x, times, block, change)

        def guided(x: Tensor, times: Tensor) -> Tensor:
            return guided_flow(teacher, batch, clean, x, times, block, branches)

        loss = consistency_loss(flow_of(self.model), flow_of(target), guided, noisy, here, after)
        return LossReport(loss, len(batch.target))

    def _target(self, update: int) -> Transformer:
        """What makes the targets of an update: the student itself, or its average over the updates before."""
        if not self.recipe.target_ema:
            return self.model
        if self._average is None:
            self._average = Ema(self.model, self.recipe.target_ema)
            self._average.begin(self.model)
        elif self._averaged_at < update:
            self._average.update(self.model)
        self._averaged_at = update
        averaged = self._average.averaged()
        assert isinstance(averaged, Transformer)
        return averaged

    def extra_state(self, parts: Collection[int]) -> dict[str, Any]:
        if self._average is None:
            return {}
        values = {name: value.cpu() for name, value in self._average.values.items()}
        return {"average": values, "updates": self._average.updates, "at": self._averaged_at}

    def restore(self, state: dict[str, Any]) -> None:
        if not state:
            return
        self._average = Ema(self.model, self.recipe.target_ema)
        self._average.begin(self.model)
        for name, value in self._average.own.items():
            value.copy_(state["average"][name])
        self._average.updates, self._averaged_at = state["updates"], state["at"]


def neighbours(
    grid: Tensor, count: int, frames: int, block_frames: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Timesteps [count, frames] of both ends of a step of ``grid`` [N + 1], from 1000 to 0, drawn for every block."""
    drawn = torch.randint(len(grid) - 1, (count, frames // block_frames), generator=generator)
    drawn = drawn.repeat_interleave(block_frames, dim=1)
    return grid[drawn], grid[drawn + 1]


def consistency_loss(student: Flow, target: Flow, teacher: Flow, noisy: Tensor, here: Tensor, after: Tensor) -> Tensor:
    """Mean of (x0 of the student at ``here`` - x0 of the target one step of the teacher's ODE on, at ``after``)^2.

    noisy: [B, F, C, h, w], at the timesteps ``here`` [B, F]; ``after`` [B, F] are smaller. At timestep 0 the target is
    the state itself. Only the student's pass has gradients.
    """
    with torch.no_grad():
        moved = noisy + (sigma_like(after, noisy) - sigma_like(here, noisy)) * teacher(noisy, here)
        clean = (after == 0).to(noisy.device)[:, :, None, None, None]
        wanted = torch.where(clean, moved, x0_from_flow(moved, target(moved, after), after))
    return (x0_from_flow(noisy, student(noisy, here), here) - wanted).square().mean()
