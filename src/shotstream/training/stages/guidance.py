"""Guidance distillation (arXiv 2210.03142, section 3.1): one pass learns what CFG computes from two.

The guided student of block-causal flow matching is frozen; a copy learns, at the few steps it is sampled with, to
predict the clean block that guidance predicts. History is true, or in a share of the updates the copy's own rollout,
which is what it will see when it streams. Nothing here compares whole samples, so that blocks that agreed before
agree afterwards; distribution matching can begin from what it leaves. Recognisers may look at both predictions
(:mod:`shotstream.training.methods.recognition_loss`).

Axes: B batch · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from shotstream.core.flow import add_noise, x0_from_flow
from shotstream.core.randomness import derive, stream
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.prompts import Branches
from shotstream.training.data.next_shot_batches import NextShotBatch, NextShotSettings
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import (
    few_step_times,
    guided_flow,
    noisy_history,
    regression_loss,
    teacher_forced_flow,
)
from shotstream.training.methods.recognition_loss import RecognisedRecipe, RecognitionLoss
from shotstream.training.methods.self_forcing import roll_out, sample_seeds
from shotstream.training.methods.transformer_stage import TransformerStage
from shotstream.training.recipes import FOUR_STEPS, Cost, Networks, Report, few_steps, register, training_preset


@register
class GuidanceRecipe(RecognisedRecipe):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["guidance"] = "guidance"
    samples: NextShotSettings = NextShotSettings(caption_drop=0)
    guidance: float = Field(default=2.0, ge=0)  # of what is imitated: uncond + g (cond - uncond)
    own_share: float = Field(default=0.5, ge=0, le=1)  # updates on the student's own rollouts
    history_noise: float = Field(default=0.1, ge=0)  # largest noise on the clean blocks
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: str  # the guided student's weights, a file or "bundled"

    def networks(self) -> Networks:
        network = Transformer(training_preset(self).transformer)
        return {"guided": (network, None), self.role: (network, self.optimiser)}

    def build(self, store: Path, progress: Report) -> GuidanceStage:
        return GuidanceStage(self, store, progress)

    def cost(self) -> Cost:
        # Besides: two branches of what is imitated, and rollouts of half as many frames.
        return self.cost_of(sequence=2, more_passes=2 + self.own_share * (len(self.student_steps) + 1) / 2)


class GuidanceStage(TransformerStage):
    """One role, ``student``."""

    def __init__(self, recipe: GuidanceRecipe, store: Path, progress: Report) -> None:
        self.recipe = recipe
        preset = few_steps(training_preset(recipe), recipe.student_steps)
        super().__init__(recipe, preset, store, progress, start=recipe.start, starts_as="student")
        self._recognition = RecognitionLoss.of(recipe, self.material)
        self._guided = copy.deepcopy(self.model).requires_grad_(False).eval()

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        draw = random.Random(derive(recipe.seed, "batch", *names(update, part)))
        generator = stream(recipe.seed, "noise", *names(update, part))
        batch = self.sampler.batch(draw).to(self.model.device)
        # One choice per update, the same in all of its parts and processes.
        if random.Random(derive(recipe.seed, "own", update)).random() < recipe.own_share:
            batch = self._own(batch, update, part)
        guided = self._guided.to(self.model.device)
        loss, x0, wanted = guidance_loss(
            self.model,
            guided,
            self.preset,
            batch,
            Branches(recipe.guidance, self.material.unconditional),
            recipe.history_noise,
            generator,
        )
        if self._recognition is None:
            return LossReport(loss, len(batch.target))
        moments = random.Random(derive(recipe.seed, "moments", *names(update, part)))
        return self._recognition.added_to(loss, moments, batch, x0, wanted)

    def _own(self, batch: NextShotBatch, update: int, part: int) -> NextShotBatch:
        """The shots of ``batch`` as the student makes them now."""
        made = roll_out(
            self.model,
            self.preset,
            batch.context,
            batch.caption,
            frames=batch.target.shape[1],
            exit_step=len(self.recipe.student_steps) - 1,
            seeds=sample_seeds(self.recipe.seed, update, part, len(batch.target)),
            learning=False,
        )
        return replace(batch, target=made.latents)


def guidance_loss(
    model: Transformer,
    guided: Transformer,
    preset: Preset,
    batch: NextShotBatch,
    branches: Branches,
    history_noise: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of (x0 of one pass - x0 of the guided passes)^2, every block at one of the preset's few steps; and both
    x0 [B, F, C, h, w]."""
    count, frames = batch.target.shape[:2]
    block = preset.geometry.block_frames
    timesteps = few_step_times(preset, count, frames, generator)
    clean = noisy_history(batch.target, history_noise, generator)
    noisy = add_noise(batch.target, torch.randn(batch.target.shape, generator=generator).to(batch.target), timesteps)
    with torch.no_grad():
        target = x0_from_flow(noisy, guided_flow(guided, batch, clean, noisy, timesteps, block, branches), timesteps)
    flow = teacher_forced_flow(model, batch.context, batch.caption, clean, noisy, timesteps, block, batch.change)
    return regression_loss(noisy, flow, target, timesteps), x0_from_flow(noisy, flow, timesteps), target
