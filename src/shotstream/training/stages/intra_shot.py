"""Stage 3: intra-shot self-forcing with distribution matching, on true history (arXiv 2603.25746, section 3.4).

The student rolls out the next shot of a true story; earlier shots are the true ones.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from PIL import Image
from pydantic import Field
from torch import nn

from shotstream.core.randomness import derive, stream
from shotstream.models.transformer import Transformer
from shotstream.training.material import Material, MaterialSettings
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings, check_whole_blocks
from shotstream.training.next_shot_look import student_look
from shotstream.training.presets import FOUR_STEPS, PresetRecipe, few_steps, training_preset
from shotstream.training.roles import Networks, Starts
from shotstream.training.self_forcing import (
    Buffer,
    DmdSettings,
    Rollout,
    check_exits,
    critic_loss,
    roll_out,
    sample_seeds,
    student_learns,
    student_loss,
)
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names


class IntraShotRecipe(PresetRecipe):
    """Recipe of stage 3. Lengths of samples must be whole blocks."""

    stage: Literal["intra-shot"] = "intra-shot"
    seed: int = 1
    material: MaterialSettings
    samples: NextShotSettings = NextShotSettings(caption_drop=0)
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: Starts
    dmd: DmdSettings = DmdSettings()
    buffer: int = Field(default=0, ge=0)  # recent rollouts kept for critic updates
    buffer_share: float = Field(default=0.5, ge=0, le=1)  # critic updates that learn from the buffer once it is full
    student: OptimiserSettings
    critic: OptimiserSettings
    loop: LoopSettings


class IntraShotStage:
    """Two roles, ``student`` and ``critic``."""

    def __init__(self, recipe: IntraShotRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = few_steps(training_preset(recipe), recipe.student_steps)
        check_exits(recipe.dmd, len(recipe.student_steps))
        self._networks = Networks(self.preset, recipe.start)
        self.roles = {
            "student": Role(self._networks.student, recipe.student),
            "critic": Role(self._networks.critic, recipe.critic),
        }
        self.loop = recipe.loop
        check_whole_blocks(recipe.samples.lengths, self.preset.geometry)
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        self._sampler = NextShotSampler(self._material.train, self.preset, recipe.samples)
        self._buffers: dict[int, Buffer] = defaultdict(lambda: Buffer(recipe.buffer))  # by part of an update

    def turn(self, update: int) -> str:
        settings = self.recipe.dmd
        learns = student_learns(settings, update, update - settings.critic_warmup)
        return "student" if learns else "critic"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe, networks = self.recipe, self._networks
        draw = random.Random(derive(recipe.seed, "batch", *names(update, part)))
        generator = stream(recipe.seed, "noise", *names(update, part))
        if role == "critic":
            made = self._for_critic(draw, update, part)
            return critic_loss(made, networks.critic, self.preset, recipe.dmd, generator)
        made = self._roll_out(draw, update, part, learning=True)
        return student_loss(made, networks.teacher, networks.critic, self.preset, recipe.dmd, generator)

    def _for_critic(self, draw: random.Random, update: int, part: int) -> Rollout:
        """A rollout kept, or a new one."""
        buffer = self._buffers[part]
        full = 0 < self.recipe.buffer == len(buffer)
        if full and draw.random() < self.recipe.buffer_share:
            return buffer.draw(draw)
        return self._roll_out(draw, update, part, learning=False)

    def _roll_out(self, draw: random.Random, update: int, part: int, *, learning: bool) -> Rollout:
        # One exit step per update, the same in all of its parts and processes.
        exits = random.Random(derive(self.recipe.seed, "exit", update))
        exit_step = exits.randrange(self.recipe.dmd.first_exit, len(self.preset.student.listed))
        batch = self._sampler.batch(draw).to(self._networks.student.device)
        made = roll_out(
            self._networks.student,
            self.preset,
            batch.context,
            batch.caption,
            frames=batch.target.shape[1],
            exit_step=exit_step,
            seeds=sample_seeds(self.recipe.seed, update, part, len(batch.target)),
            learning=learning,
            context_gradient=self.recipe.dmd.context_gradient,
        )
        self._buffers[part].add(made)
        return made

    def memory(self, parts: Collection[int]) -> dict[str, Any]:
        return {"buffers": {str(part): self._buffers[part].memory() for part in parts}}

    def recall(self, memory: dict[str, Any]) -> None:
        for part, kept in memory["buffers"].items():
            self._buffers[int(part)].recall(kept)

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        self._networks.release(averaged, folder, self._material.versions)
