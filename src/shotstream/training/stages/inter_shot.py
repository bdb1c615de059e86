"""Stage 4: inter-shot self-forcing with distribution matching, on the student's own history
(arXiv 2603.25746, section 3.4).

Stories are generated shot by shot, through the codec: condition frames of a shot are frames of the shots the
student itself made and decoded before. Every shot is an update; student and critic take turns by
(clip + shot), so that every place in a story comes to train the student.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from shotstream.core.errors import InputError
from shotstream.core.randomness import derive, stream
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.training.material import Material, MaterialSettings
from shotstream.training.next_shot_batches import check_whole_blocks
from shotstream.training.next_shot_look import student_look
from shotstream.training.presets import FOUR_STEPS, PresetRecipe, few_steps, training_preset
from shotstream.training.roles import Networks, Starts
from shotstream.training.rolled_history import RolledHistory
from shotstream.training.self_forcing import (
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


class InterShotRecipe(PresetRecipe):
    """Recipe of stage 4. Stories with at least ``shots`` shots lend their captions; no true picture is seen."""

    stage: Literal["inter-shot"] = "inter-shot"
    seed: int = 1
    material: MaterialSettings
    batch: int = Field(default=4, gt=0)  # stories of a clip
    shots: int = Field(default=5, gt=0)  # of a clip
    lengths: dict[int, float] = Field(default={6: 0.3, 9: 0.7})  # latent frames of a shot, and how often
    context_drop: float = Field(default=0.1, ge=0, le=1)  # samples whose condition latents and shot numbers are zeroed
    # A rollout ends at its exit step; with this, what is remembered of it is made anew with all steps, as streaming
    # would: the published trainer remembers the rollout itself.
    full_history: bool = True
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: Starts
    dmd: DmdSettings = DmdSettings()
    student: OptimiserSettings
    critic: OptimiserSettings
    loop: LoopSettings


class InterShotStage:
    """Two roles, ``student`` and ``critic``."""

    def __init__(self, recipe: InterShotRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = few_steps(training_preset(recipe), recipe.student_steps)
        check_exits(recipe.dmd, len(recipe.student_steps))
        self._networks = Networks(self.preset, recipe.start)
        self.roles = {
            "student": Role(self._networks.student, recipe.student),
            "critic": Role(self._networks.critic, recipe.critic),
        }
        self.loop = recipe.loop
        check_whole_blocks(recipe.lengths, self.preset.geometry)
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        train = self._material.train
        self._stories = [story for story in range(train.stories) if train.shots(story) >= recipe.shots]
        if not self._stories:
            raise InputError(f"shots={recipe.shots}: no story is that long; ask for fewer shots or more stories")
        self._histories: dict[int, RolledHistory] = {}

    def turn(self, update: int) -> str:
        clip, shot = divmod(update, self.recipe.shots)
        return "student" if student_learns(self.recipe.dmd, update, clip + shot) else "critic"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe, networks = self.recipe, self._networks
        generator = stream(recipe.seed, "noise", *names(update, part))
        made = self._roll_out(update, part, learning=role == "student")
        if role == "critic":
            return critic_loss(made, networks.critic, self.preset, recipe.dmd, generator)
        return student_loss(made, networks.teacher, networks.critic, self.preset, recipe.dmd, generator)

    def _roll_out(self, update: int, part: int, *, learning: bool) -> Rollout:
        """This update's shot, after what the student made of the shots before; it is remembered in turn."""
        recipe = self.recipe
        clip, shot = divmod(update, recipe.shots)
        if shot == 0:
            self._histories[part] = RolledHistory(self._material.codec, self.preset.context)
        history = self._histories[part]
        draw = random.Random(derive(recipe.seed, "shot", update))  # length and exit step: one for all parts
        frames = draw.choices(list(recipe.lengths), list(recipe.lengths.values()))[0]
        last = len(self.preset.student.listed) - 1
        exit_step = draw.randint(recipe.dmd.first_exit, last)
        device = self._networks.student.device
        caption = self._captions(clip, shot, part).to(device)
        context = history.context(caption).to(device)
        seeds = sample_seeds(recipe.seed, update, part, recipe.batch)

        def make(context: ContextFrames, exit_step: int, *, learning: bool) -> Rollout:
            return roll_out(
                self._networks.student,
                self.preset,
                context,
                caption,
                frames=frames,
                exit_step=exit_step,
                seeds=seeds,
                learning=learning,
                context_gradient=recipe.dmd.context_gradient,
            )

        made = make(self._dropped(context, update, part), exit_step, learning=learning)
        if shot < recipe.shots - 1:
            remembered = make(context, last, learning=False) if recipe.full_history else made
            history.add(remembered.latents, caption)
        return made

    def _captions(self, clip: int, shot: int, part: int) -> Tensor:
        """[B, L, D]: what the clip's stories say of this shot."""
        draw = random.Random(derive(self.recipe.seed, "clip", *names(clip, part)))
        stories = draw.choices(self._stories, k=self.recipe.batch)
        return torch.stack([self._material.train.shot(story, shot).caption for story in stories])

    def _dropped(self, context: ContextFrames, update: int, part: int) -> ContextFrames:
        """``context`` with condition latents and shot numbers zeroed in a share of the samples."""
        draw = random.Random(derive(self.recipe.seed, "drop", *names(update, part)))
        kept = torch.tensor([draw.random() >= self.recipe.context_drop for _ in range(self.recipe.batch)])
        return replace(
            context,
            latents=context.latents * kept[:, None, None, None, None].to(context.latents),
            shot_index=context.shot_index.expand(len(kept), -1) * kept[:, None],
        )

    def memory(self, parts: Collection[int]) -> dict[str, Any]:
        return {"histories": {str(part): self._histories[part].memory() for part in parts if part in self._histories}}

    def recall(self, memory: dict[str, Any]) -> None:
        for part, shots in memory["histories"].items():
            self._histories[int(part)] = RolledHistory(self._material.codec, self.preset.context)
            self._histories[int(part)].recall(shots)

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        self._networks.release(averaged, folder, self._material.versions)
