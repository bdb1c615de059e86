"""Stage 3: intra-shot self-forcing with distribution matching, on true history; stage 1 of the paper's two-stage
distillation (arXiv 2603.25746, section 4.2).

The student rolls out the next shot of a true story; earlier shots are the true ones.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from shotstream.core.randomness import derive
from shotstream.training.data.next_shot_batches import NextShotSampler, NextShotSettings
from shotstream.training.engine.stage import names
from shotstream.training.methods.self_forcing import Buffer, Rollout, SelfForcingRecipe, SelfForcingStage
from shotstream.training.recipes import Cost, Report, register, training_preset


@register
class IntraShotRecipe(SelfForcingRecipe):
    """Recipe of stage 3. Lengths of samples must be whole blocks."""

    stage: Literal["intra-shot"] = "intra-shot"
    samples: NextShotSettings = NextShotSettings(caption_drop=0)
    buffer: int = Field(default=0, ge=0)  # recent rollouts kept for critic updates
    buffer_share: float = Field(default=0.5, ge=0, le=1)  # critic updates that learn from the buffer once it is full

    def build(self, store: Path, progress: Report) -> IntraShotStage:
        return IntraShotStage(self, store, progress)

    def cost(self) -> Cost:
        geometry, samples = training_preset(self).geometry, self.samples
        return self.cost_of(samples.batch, samples.mean_frames(geometry), samples.longest(geometry))


class IntraShotStage(SelfForcingStage):
    """Shots after true shots."""

    def __init__(self, recipe: IntraShotRecipe, store: Path, progress: Report) -> None:
        super().__init__(recipe, recipe.samples.lengths, store, progress)
        self.recipe = recipe
        block = self.preset.geometry.block_frames
        train = self.material.train
        self._sampler = NextShotSampler(train, self.preset, recipe.samples, multiple=block, shortest=block)
        self._buffers: dict[int, Buffer] = defaultdict(lambda: Buffer(recipe.buffer))  # by part of an update

    def learner(self, update: int) -> str:
        learns = self.student_learns(update, update - self.recipe.dmd.critic_warmup)
        return "student" if learns else "critic"

    def roll_out(self, update: int, part: int, *, learning: bool) -> Rollout:
        draw = random.Random(derive(self.recipe.seed, "batch", *names(update, part)))
        buffer = self._buffers[part]
        full = 0 < self.recipe.buffer == len(buffer)
        if not learning and full and draw.random() < self.recipe.buffer_share:
            return buffer.draw(draw)
        exit_step = self.exit_step(random.Random(derive(self.recipe.seed, "exit", update)))
        batch = self._sampler.batch(draw).to(self.student.device)
        frames = batch.target.shape[1]
        made = self.made(batch.context, batch.caption, frames, exit_step, update, part, learning=learning)
        buffer.add(made)
        return made

    def extra_state(self, parts: Collection[int]) -> dict[str, Any]:
        return {"buffers": {str(part): self._buffers[part].extra_state() for part in parts}}

    def restore(self, state: dict[str, Any]) -> None:
        for part, kept in state["buffers"].items():
            self._buffers[int(part)].restore(kept)
