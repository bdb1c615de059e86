"""Causal initialisation (CausVid, arXiv 2412.07772, section 4.3): regression on the teacher's trajectories.

A block may be drawn clean: it then leaves the loss and is, for later blocks, the clean history streaming will show.
Part of the updates may learn block-causal flow matching on true clips instead.

Axes: B batch · N states · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from shotstream.core.randomness import derive, stream
from shotstream.models.transformer import Transformer
from shotstream.training.data.trajectory_store import Trajectories, TrajectoryStore
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import block_causal_flow, causal_flow_loss, regression_loss
from shotstream.training.methods.transformer_stage import TransformerRecipe, TransformerStage
from shotstream.training.recipes import FOUR_STEPS, Cost, Report, few_steps, register, training_preset


@register
class CausalInitRecipe(TransformerRecipe):
    """Recipe of this stage. ``samples`` are the true clips; their lengths must be whole blocks."""

    stage: Literal["causal-init"] = "causal-init"
    trajectories: str  # folder of the trajectories
    batch: int = Field(default=8, gt=0)  # pairs of an update
    caption_drop: float = Field(default=0.1, ge=0, le=1)  # pairs whose captions are zeroed
    true_share: float = Field(default=0.0, ge=0, le=1)  # updates that learn from true clips
    history_noise: float = Field(default=0.1, ge=0)  # largest noise on true clips' clean blocks
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: str  # the teacher's weights, a file or "bundled"

    def build(self, store: Path, progress: Report) -> CausalInitStage:
        return CausalInitStage(self, store, progress)

    def cost(self) -> Cost:
        return self.cost_of(batch=self.batch)


class CausalInitStage(TransformerStage):
    """One role, ``student``."""

    def __init__(self, recipe: CausalInitRecipe, store: Path, progress: Report) -> None:
        self.recipe = recipe
        self._trajectories = TrajectoryStore(Path(recipe.trajectories))
        preset = few_steps(training_preset(recipe), recipe.student_steps)
        super().__init__(recipe, preset, store, progress, start=recipe.start)

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        draw = random.Random(derive(recipe.seed, "batch", *names(update, part)))
        generator = stream(recipe.seed, "noise", *names(update, part))
        # One choice per update, the same in all of its parts and processes.
        choice = draw if part == 0 else random.Random(derive(recipe.seed, "batch", *names(update, 0)))
        if choice.random() < recipe.true_share:
            clips = self.sampler.batch(draw).to(self.model.device)
            loss, _ = causal_flow_loss(self.model, self.preset, clips, recipe.history_noise, generator)
            return LossReport(loss, len(clips.target), {"flow_loss": float(loss.detach())})
        pairs = self._trajectories.batch(draw, recipe.batch).to(self.model.device)
        told = (
            torch.tensor([draw.random() >= recipe.caption_drop for _ in range(recipe.batch)]).float().to(pairs.caption)
        )
        pairs = pairs.whole_blocks(self.preset.geometry.block_frames)
        loss = initialisation_loss(self.model, pairs, told, self.preset.geometry.block_frames, generator)
        return LossReport(loss, recipe.batch, {"regression_loss": float(loss.detach())})


def initialisation_loss(
    model: Transformer, pairs: Trajectories, told: Tensor, block_frames: int, generator: torch.Generator
) -> Tensor:
    """Regress each trajectory's end from a state drawn uniformly per block; ``told`` [B] is 0 where captions drop."""
    noisy, timesteps = mixed_states(pairs, block_frames, generator)
    context = replace(pairs.context, captions=pairs.context.captions * told[:, None, None, None])
    flow = block_causal_flow(model, context, pairs.caption * told[:, None, None], noisy, timesteps, block_frames)
    return regression_loss(noisy, flow, pairs.states[:, -1], timesteps)


def mixed_states(pairs: Trajectories, block_frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(x [B, F, C, h, w], timesteps [B, F]): every block taken from one of the N states, drawn uniformly."""
    count, states, frames = pairs.states.shape[:3]
    drawn = torch.randint(states, (count, -(-frames // block_frames)), generator=generator)
    place = drawn.repeat_interleave(block_frames, dim=1)[:, :frames]
    rows, columns = torch.arange(count)[:, None], torch.arange(frames)[None]
    return pairs.states[rows, place, columns], pairs.timesteps[place].float()
