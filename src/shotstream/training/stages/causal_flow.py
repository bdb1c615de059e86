"""Block-causal flow matching on true clips: a student that streams, before any distillation.

The sequence is [condition frames | every block clean | every block noisy]; a noisy block sees condition frames,
the clean blocks before it, and itself: exactly what the caches hold when streaming. Every block draws its own
timestep, from all there are or from the few at which a few-step sampler asks. It starts from the teacher and needs its
guidance, and in the first case as many steps as the teacher does; the preset that says so is left beside its weights.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from torch import nn

from shotstream.core.config import Config
from shotstream.core.randomness import derive, stream
from shotstream.models.presets import write_preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import WeightsHeader, save_transformer
from shotstream.training.causal_flow_loss import Times, causal_flow_loss
from shotstream.training.material import Material, MaterialSettings, start_from
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings, check_whole_blocks
from shotstream.training.next_shot_look import student_look
from shotstream.training.presets import FOUR_STEPS, few_steps, training_preset, undistilled
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names


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
    times: Times = "logit-normal"  # "steps": only those at which the preset's few-step student is asked
    student_steps: tuple[int, ...] = FOUR_STEPS  # these, looked up in the shifted schedule


class CausalFlowStage:
    """One role, ``student``."""

    def __init__(self, recipe: CausalFlowRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        named = training_preset(recipe.preset)
        self.preset = undistilled(named)
        if recipe.times == "steps":
            self.preset = few_steps(named, recipe.student_steps, named.teacher.guidance)
        self._model = Transformer(self.preset.transformer)
        start_from(self._model, recipe.start, "teacher")
        self.roles = {"student": Role(self._model, recipe.optimiser)}
        self.loop = recipe.loop
        check_whole_blocks(recipe.samples.lengths, self.preset.geometry)
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        self._sampler = NextShotSampler(self._material.train, self.preset.geometry, recipe.samples)

    def turn(self, update: int) -> str:
        return "student"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        batch = self._sampler.batch(random.Random(derive(self.recipe.seed, "batch", *names(update, part))))
        batch = batch.to(self._model.device)
        generator = stream(self.recipe.seed, "noise", *names(update, part))
        loss = causal_flow_loss(
            self._model, self.preset, batch, self.recipe.history_noise, generator, self.recipe.times
        )
        return LossReport(loss, len(batch.target))

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        header = WeightsHeader(
            role="student", preset=self.preset.name, config=self.preset.transformer, versions=self._material.versions
        )
        model = cast(Transformer, averaged["student"])
        save_transformer(model, folder / "student.safetensors", header, dtype=torch.float16)
        write_preset(self.preset, folder)
