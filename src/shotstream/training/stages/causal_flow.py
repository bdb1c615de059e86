"""Block-causal flow matching on true clips: a student that streams, before any distillation.

The sequence is [condition frames | every block clean | every block noisy]; a noisy block sees condition frames,
the clean blocks before it, and itself: exactly what the caches hold when streaming. Every block draws its own
timestep, from all there are or from the few at which a few-step sampler asks. It starts from the teacher and needs its
guidance, and in the first case as many steps as the teacher does; the preset that says so is left beside its weights.
Recognisers may look at what it predicts (:mod:`shotstream.training.methods.recognition_loss`).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

from shotstream.core.randomness import derive, stream
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import Times, causal_flow_loss
from shotstream.training.methods.recognition_loss import RecognisedRecipe, RecognitionLoss
from shotstream.training.methods.transformer_stage import CharacterWeightedRecipe, TransformerStage
from shotstream.training.recipes import FOUR_STEPS, Cost, Report, few_steps, register, training_preset, undistilled


@register
class CausalFlowRecipe(RecognisedRecipe, CharacterWeightedRecipe):
    """Recipe of this stage. Lengths of samples must be whole blocks."""

    stage: Literal["causal-flow"] = "causal-flow"
    start: str  # the teacher's weights, a file or "bundled"
    history_noise: float = 0.1  # largest noise on the clean blocks, which streaming will have made itself
    times: Times = "logit-normal"  # "steps": only those at which the preset's few-step student is asked
    student_steps: tuple[int, ...] = FOUR_STEPS  # these, looked up in the shifted schedule

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
        self._recognition = RecognitionLoss.of(recipe, self.material)

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        batch = self.sampler.batch(random.Random(derive(recipe.seed, "batch", *names(update, part))))
        batch = batch.to(self.model.device)
        generator = stream(recipe.seed, "noise", *names(update, part))
        loss, x0 = causal_flow_loss(self.model, self.preset, batch, recipe.history_noise, generator, recipe.times)
        if self._recognition is None:
            return LossReport(loss, len(batch.target))
        moments = random.Random(derive(recipe.seed, "moments", *names(update, part)))
        return self._recognition.added_to(loss, moments, batch, x0, batch.target)
