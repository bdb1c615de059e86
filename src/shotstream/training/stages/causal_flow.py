"""Block-causal flow matching on true clips: a student that streams, before any distillation.

The sequence is [condition frames | every block clean | every block noisy]; a noisy block sees condition frames,
the clean blocks before it, and itself: exactly what the caches hold when streaming. Every block draws its own
timestep. It starts from the teacher and needs as many sampling steps as the teacher does.

Axes: B batch · K condition frames · F latent frames of the new shot · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from torch import Tensor, nn

from shotstream.core.config import Config
from shotstream.core.flow import add_noise, flow_target
from shotstream.core.randomness import derive, stream
from shotstream.models.presets import preset
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import clean_and_noisy
from shotstream.models.weights import WeightsHeader, save_transformer
from shotstream.training.material import Material, MaterialSettings, start_from
from shotstream.training.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.next_shot_look import student_look
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role


class CausalFlowRecipe(Config):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["causal-flow"] = "causal-flow"
    seed: int = 1
    preset: str = "storyworld"
    material: MaterialSettings
    samples: NextShotSettings = NextShotSettings()
    optimiser: OptimiserSettings
    loop: LoopSettings
    start: str  # the teacher's weights, a file or "bundled"
    history_noise: float = 0.1  # largest noise on the clean blocks, which streaming will have made itself


class CausalFlowStage:
    """One role, ``student``."""

    def __init__(self, recipe: CausalFlowRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = preset(recipe.preset)
        self._model = Transformer(self.preset.transformer)
        start_from(self._model, recipe.start, "teacher")
        self.roles = {"student": Role(self._model, recipe.optimiser)}
        self.loop = recipe.loop
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        self._sampler = NextShotSampler(self._material.train, self.preset.geometry, recipe.samples)

    def turn(self, update: int) -> str:
        return "student"

    def loss(self, update: int, role: str) -> LossReport:
        batch = self._sampler.batch(random.Random(derive(self.recipe.seed, "batch", update)))
        generator = stream(self.recipe.seed, "noise", update)
        count, frames = batch.target.shape[:2]
        blocks = frames // self.preset.geometry.block_frames
        timesteps = self.preset.schedule.draw_logit_normal(count * blocks, generator).unflatten(0, (count, blocks))
        timesteps = timesteps.repeat_interleave(self.preset.geometry.block_frames, dim=1)
        noise = torch.randn(batch.target.shape, generator=generator)
        level = self.recipe.history_noise * torch.rand(count, 1, 1, 1, 1, generator=generator)
        clean = batch.target + level * torch.randn(batch.target.shape, generator=generator)
        flow = self._flow(batch, clean, add_noise(batch.target, noise, timesteps), timesteps)
        return LossReport((flow - flow_target(batch.target, noise)).square().mean(), count)

    def _flow(self, batch: NextShotBatch, clean: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Flow of the noisy blocks [B, F, C, h, w]."""
        context = batch.context
        count, frames = noisy.shape[:2]
        kept = context.frames
        block = self.preset.geometry.block_frames
        shot = torch.arange(kept, kept + frames)
        own = torch.full((count, 2 * frames), context.captions.shape[1])
        return self._model(
            torch.cat([context.latents, clean, noisy], dim=1),
            torch.cat([torch.zeros(count, kept + frames), timesteps], dim=1),
            torch.cat([context.captions, batch.caption[:, None]], dim=1),
            caption_index=torch.cat([context.caption_index, own], dim=1),
            positions=torch.cat([torch.arange(kept), shot, shot]),
            shot_index=torch.cat([context.shot_index, context.next_shot.expand(-1, 2 * frames)], dim=1),
            layout=clean_and_noisy(kept, frames, block),
        )[:, kept + frames :]

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        header = WeightsHeader(
            role="student", preset=self.preset.name, config=self.preset.transformer, versions=self._material.versions
        )
        model = cast(Transformer, averaged["student"])
        save_transformer(model, folder / "student.safetensors", header, dtype=torch.float16)
