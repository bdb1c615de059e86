"""Guidance distillation (arXiv 2210.03142, section 3.1): one pass of the student learns what two guided ones say.

The guided student of block-causal flow matching is frozen; a copy learns, at the few steps it is sampled with, to
predict the clean block that guidance predicts. History is true, or in a share of the updates the copy's own rollout,
which is what it will see when it streams. Nothing here compares whole samples, so that blocks that agreed before
agree afterwards; distribution matching can begin from what it leaves.

Axes: B batch · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from shotstream.core.config import Config
from shotstream.core.flow import add_noise, x0_from_flow
from shotstream.core.randomness import derive, stream
from shotstream.models.presets import Preset, write_preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import WeightsHeader, save_transformer
from shotstream.sampling.branches import Branches
from shotstream.training.causal_flow_loss import few_step_times
from shotstream.training.causal_passes import teacher_forced_flow
from shotstream.training.losses import regression_loss
from shotstream.training.material import Material, MaterialSettings, start_from
from shotstream.training.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings, check_whole_blocks
from shotstream.training.next_shot_look import student_look
from shotstream.training.presets import FOUR_STEPS, few_steps, training_preset
from shotstream.training.self_forcing import roll_out, sample_seeds
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, frozen, names


class GuidanceRecipe(Config):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["guidance"] = "guidance"
    seed: int = 1
    preset: str = "storyworld"
    material: MaterialSettings
    samples: NextShotSettings = NextShotSettings(caption_drop=0)
    guidance: float = Field(default=2.0, ge=0)  # of what is imitated: uncond + g (cond - uncond), zero captions
    own_share: float = Field(default=0.5, ge=0, le=1)  # updates on the student's own rollouts
    history_noise: float = Field(default=0.1, ge=0)  # largest noise on the clean blocks
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    optimiser: OptimiserSettings
    loop: LoopSettings
    start: str  # the guided student's weights, a file or "bundled"


class GuidanceStage:
    """One role, ``student``."""

    def __init__(self, recipe: GuidanceRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = few_steps(training_preset(recipe.preset), recipe.student_steps)
        self._model, self._guided = (Transformer(self.preset.transformer) for _ in range(2))
        for model in (self._model, self._guided):
            start_from(model, recipe.start, "student")
        self._guided.requires_grad_(False).eval()
        self.roles = {"student": Role(self._model, recipe.optimiser)}
        self.loop = recipe.loop
        check_whole_blocks(recipe.samples.lengths, self.preset.geometry)
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        self._sampler = NextShotSampler(self._material.train, self.preset.geometry, recipe.samples)

    def turn(self, update: int) -> str:
        return "student"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        draw = random.Random(derive(recipe.seed, "batch", *names(update, part)))
        generator = stream(recipe.seed, "noise", *names(update, part))
        batch = self._sampler.batch(draw).to(self._model.device)
        # One choice per update, the same in all of its parts and processes.
        if random.Random(derive(recipe.seed, "own", update)).random() < recipe.own_share:
            batch = self._own(batch, update, part)
        guided = self._guided.to(self._model.device)
        loss = guidance_loss(self._model, guided, self.preset, batch, recipe.guidance, recipe.history_noise, generator)
        return LossReport(loss, len(batch.target))

    def _own(self, batch: NextShotBatch, update: int, part: int) -> NextShotBatch:
        """The shots of ``batch`` as the student makes them now."""
        made = roll_out(
            self._model,
            self.preset,
            batch.context,
            batch.caption,
            frames=batch.target.shape[1],
            exit_step=len(self.recipe.student_steps) - 1,
            seeds=sample_seeds(self.recipe.seed, update, part, len(batch.target)),
            learning=False,
        )
        return replace(batch, target=made.latents)

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        header = WeightsHeader(
            role="student", preset=self.preset.name, config=self.preset.transformer, versions=self._material.versions
        )
        model = cast(Transformer, averaged["student"])
        save_transformer(model, folder / "student.safetensors", header, dtype=torch.float16)
        write_preset(self.preset, folder)


def guidance_loss(
    model: Transformer,
    guided: Transformer,
    preset: Preset,
    batch: NextShotBatch,
    guidance: float,
    history_noise: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean of (x0 of one pass - x0 of the guided passes)^2, every block at one of the preset's few steps."""
    count, frames = batch.target.shape[:2]
    block = preset.geometry.block_frames
    timesteps = few_step_times(preset, count, frames, generator)
    level = history_noise * torch.rand(count, 1, 1, 1, 1, generator=generator).to(batch.target)
    clean = batch.target + level * torch.randn(batch.target.shape, generator=generator).to(batch.target)
    noisy = add_noise(batch.target, torch.randn(batch.target.shape, generator=generator).to(batch.target), timesteps)
    with frozen(guided):
        target = x0_from_flow(noisy, _guided_flow(guided, batch, clean, noisy, timesteps, block, guidance), timesteps)
    flow = teacher_forced_flow(model, batch.context, batch.caption, clean, noisy, timesteps, block)
    return regression_loss(noisy, flow, target, timesteps)


def _guided_flow(
    model: Transformer,
    batch: NextShotBatch,
    clean: Tensor,
    noisy: Tensor,
    timesteps: Tensor,
    block: int,
    guidance: float,
) -> Tensor:
    """What guidance makes of both branches; as when streaming, the one without captions remembers pictures too."""
    branches = Branches(guidance)
    context = branches.context(batch.context)
    caption = branches.captions(batch.caption[:, None])[:, 0]
    clean, noisy, timesteps = (branches.latents(tensor) for tensor in (clean, noisy, timesteps))
    return branches.guided(teacher_forced_flow(model, context, caption, clean, noisy, timesteps, block))
