"""Block-causal flow matching on true clips: a student that streams, before any distillation.

The sequence is [condition frames | every block clean | every block noisy]; a noisy block sees condition frames,
the clean blocks before it, and itself: exactly what the caches hold when streaming. Every block draws its own
timestep, from all there are or from the few at which a few-step sampler asks. It starts from the teacher and needs its
guidance, and in the first case as many steps as the teacher does; the preset that says so is left beside its weights.
Recognisers may look at what it predicts (:mod:`shotstream.training.methods.recognition_loss`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from shotstream.core.randomness import derive, stream
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import Times, causal_flow_loss
from shotstream.training.methods.recognition_loss import RecognitionLoss, RecognitionSettings
from shotstream.training.methods.transformer_stage import CharacterWeightedRecipe, TransformerStage
from shotstream.training.recipes import FOUR_STEPS, Cost, Report, few_steps, register, training_preset, undistilled


@register
class CausalFlowRecipe(CharacterWeightedRecipe):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["causal-flow"] = "causal-flow"
    start: str  # the teacher's weights, a file or "bundled"
    history_noise: float = 0.1  # largest noise on the clean blocks, which streaming will have made itself
    times: Times = "logit-normal"  # "steps": only those at which the preset's few-step student is asked
    student_steps: tuple[int, ...] = FOUR_STEPS  # these, looked up in the shifted schedule
    recognition: RecognitionSettings | None = None  # what recognisers see in its predictions counts, too

    @model_validator(mode="after")
    def _the_world_tells_what_is_to_be_seen(self) -> Self:
        if self.recognition and self.material.clips is not None:
            raise ValueError("recognition: clips do not tell what is to be seen in them; set it to null")
        return self

    def build(self, store: Path, progress: Report) -> CausalFlowStage:
        return CausalFlowStage(self, store, progress)

    def cost(self) -> Cost:
        return self.cost_of(sequence=2)


class CausalFlowStage(TransformerStage):
    """One role, ``student``."""

    def __init__(self, recipe: CausalFlowRecipe, store: Path, progress: Report) -> None:
        self.recipe = recipe
        named = training_preset(recipe)
        preset = undistilled(named)
        if recipe.times == "steps":
            preset = few_steps(named, recipe.student_steps, named.teacher.guidance)
        weight = recipe.character_weight
        super().__init__(recipe, preset, store, progress, start=recipe.start, character_weight=weight, changes=True)
        self._recognition = None
        if recipe.recognition is not None:
            assert self.material.world is not None  # the recipe sees to it
            self._recognition = RecognitionLoss(recipe.recognition, self.material.world, self.material.codec)

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        batch = self.sampler.batch(random.Random(derive(recipe.seed, "batch", *names(update, part))))
        batch = batch.to(self.model.device)
        generator = stream(recipe.seed, "noise", *names(update, part))
        loss, x0 = causal_flow_loss(self.model, self.preset, batch, recipe.history_noise, generator, recipe.times)
        metrics: Mapping[str, float] = {}
        if self._recognition is not None:
            moments = random.Random(derive(recipe.seed, "moments", *names(update, part)))
            seen, metrics = self._recognition(moments, batch, x0)
            metrics = {"flow": float(loss.detach()), **metrics}
            loss = loss + seen
        return LossReport(loss, len(batch.target), metrics)
