"""Floating-point operations of the transformer's stages, estimated from sizes alone.

Axes: F latent frames · K condition frames · T tokens
"""

from __future__ import annotations

from shotstream.models.flops import forward_flops
from shotstream.models.presets import Preset
from shotstream.training.next_shot_batches import NextShotSettings
from shotstream.training.stages.causal_flow import CausalFlowRecipe
from shotstream.training.stages.causal_init import CausalInitRecipe
from shotstream.training.stages.guidance import GuidanceRecipe
from shotstream.training.stages.inter_shot import InterShotRecipe
from shotstream.training.stages.intra_shot import IntraShotRecipe
from shotstream.training.stages.teacher import TeacherRecipe
from shotstream.training.stages.trajectories import TrajectoriesRecipe

TransformerRecipe = (
    TeacherRecipe
    | CausalFlowRecipe
    | TrajectoriesRecipe
    | CausalInitRecipe
    | GuidanceRecipe
    | IntraShotRecipe
    | InterShotRecipe
)


def shot_flops(recipe: TransformerRecipe, preset: Preset) -> tuple[float, int]:
    """(FLOPs of a mean update or trajectory, how many there are)."""
    if isinstance(recipe, TrajectoriesRecipe):
        branches = 1 if recipe.guidance == 1 else 2
        return branches * recipe.steps * _pass(preset, 0, _mean(recipe.samples), _mean(recipe.samples)), recipe.pairs
    updates, parts = recipe.loop.updates, recipe.loop.accumulate
    kept = preset.geometry.context_frames
    if isinstance(recipe, IntraShotRecipe):
        return parts * recipe.samples.batch * _distillation(preset, _mean(recipe.samples), recipe, 0), updates
    if isinstance(recipe, InterShotRecipe):
        again = len(recipe.student_steps) if recipe.full_history else 0
        return parts * recipe.batch * _distillation(preset, _mean_length(recipe.lengths), recipe, again), updates
    frames = _mean(recipe.samples)
    batch = recipe.batch if isinstance(recipe, CausalInitRecipe) else recipe.samples.batch
    sequence = 2 * frames if isinstance(recipe, CausalFlowRecipe | GuidanceRecipe) else frames
    passes: float = 3 + recipe.loop.checkpoint_activations  # forward, backward twice as much, and forward again
    if isinstance(recipe, GuidanceRecipe):  # two branches of what is imitated, and rollouts of half as many frames
        passes += 2 + recipe.own_share * (len(recipe.student_steps) + 1) / 2
    return parts * batch * passes * _pass(preset, kept, sequence, frames), updates


def _distillation(preset: Preset, frames: float, recipe: IntraShotRecipe | InterShotRecipe, again: int) -> float:
    """A mean update of the self-forcing stages, per sample; ``again``: steps of a second rollout for the memory."""
    once = _pass(preset, 0, frames, frames)
    kept = preset.geometry.context_frames
    both = _pass(preset, kept, frames, frames)
    context = _pass(preset, kept, 0, 0)
    rollout = context + once * ((len(recipe.student_steps) + 1) / 2 + 1 + (again + 1 if again else 0))
    again_forward = recipe.loop.checkpoint_activations
    student = rollout + (2 + again_forward) * once + both * (1 + (1 if recipe.dmd.guidance == 1 else 2))
    critic = rollout + (3 + again_forward) * both
    return (student + recipe.dmd.critic_updates * critic) / (1 + recipe.dmd.critic_updates)


def _pass(preset: Preset, kept: float, frames: float, seen: float) -> float:
    """One pass of ``kept`` condition frames and ``frames`` frames, all seeing the condition frames and ``seen``."""
    geometry = preset.geometry
    tokens = (kept + frames) * geometry.tokens_per_frame
    keys = (geometry.context_frames + seen) * geometry.tokens_per_frame
    return forward_flops(preset.transformer, round(tokens), round(keys))


def _mean(samples: NextShotSettings) -> float:
    """Latent frames of a sample, in updates of ``samples.batch``."""
    if samples.level_cost:
        return max(samples.lengths)
    return _mean_length(samples.lengths)


def _mean_length(lengths: dict[int, float]) -> float:
    return sum(length * share for length, share in lengths.items()) / sum(lengths.values())
