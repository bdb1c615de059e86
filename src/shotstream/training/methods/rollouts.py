"""The student's rollouts during training, exactly as it streams, and a buffer of them for the critic.

One step of every block, the exit step, has gradients, and the rollout ends there (arXiv 2506.08009, algorithm 1).

Axes: B batch · F latent frames · C channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shotstream.core.randomness import derive
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.noise import BatchNoise, NamedNoise
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import GradientPolicy, sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.training.data.trajectory_store import context_of, context_tensors
from shotstream.training.engine.stage import frozen


@dataclass(frozen=True)
class Rollout:
    """A shot the student made, and what it was asked for."""

    latents: Tensor  # [B, F, C, h, w]
    context: ContextFrames
    caption: Tensor  # [B, L, D]

    def detached(self) -> Rollout:
        return Rollout(self.latents.detach(), self.context, self.caption)


def roll_out(
    model: Transformer,
    preset: Preset,
    context: ContextFrames,
    caption: Tensor,
    *,
    frames: int,
    exit_step: int,
    seeds: list[int],
    learning: bool,
    context_gradient: bool = False,
) -> Rollout:
    """``frames`` latent frames (whole blocks) by the student's own sampler, every block ended at ``exit_step``.

    seeds: one per sample, so that frames do not depend on the batch. learning: with gradients, at the exit
    step and, with ``context_gradient``, in the context pass.
    """
    policy = GradientPolicy(exit_step=exit_step, context=learning and context_gradient)
    with nullcontext() if learning else frozen(model):
        # The refresh pass is left out where the last step was made and nothing learns from it.
        last = exit_step == len(preset.student.timesteps) - 1
        refresh = preset.student.refresh or learning or not last
        shot = StreamingShot(model, context, max_frames=frames, gradient=policy, refresh=refresh)
        shot.read(caption)
        blocks = rollout(
            shot,
            sampler(preset.student, preset.schedule),
            BatchNoise([NamedNoise(seed, shot=0) for seed in seeds]),
            blocks=frames // preset.geometry.block_frames,
            block_shape=(preset.geometry.block_frames, *preset.geometry.latent_shape),
            device=model.device,
            gradient=policy,
        )
        return Rollout(torch.cat(list(blocks), dim=1), context, caption)


def sample_seeds(seed: int, update: int, part: int, count: int) -> list[int]:
    """One rollout seed per sample of a part of an update."""
    return [derive(seed, "rollout", update, part, sample) for sample in range(count)]


class Buffer:
    """The last rollouts, for critic updates that need not wait for a new one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: list[Rollout] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, made: Rollout) -> None:
        self._kept = [*self._kept, made.detached()][-self.size :] if self.size else []

    def draw(self, draw: random.Random) -> Rollout:
        return draw.choice(self._kept)

    def extra_state(self) -> list[dict[str, Any]]:
        """The buffer as plain tensors, for a checkpoint."""
        return [
            {"latents": made.latents, "caption": made.caption, **context_tensors(made.context)} for made in self._kept
        ]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Restore what :meth:`extra_state` gave."""
        self._kept = [Rollout(kept["latents"], context_of(kept), kept["caption"]) for kept in state]
