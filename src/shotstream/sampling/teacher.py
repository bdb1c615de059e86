"""Bidirectional next-shot generation: the teacher's and the critic's view of a shot.

Axes: B batch, K condition frames, F frames of the new shot, C channels, h, w latent cells, W caption tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.models.presets import ConditionTime
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import next_shot
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.noise import NoiseSource
from shotstream.sampling.rollout import ShotFlow, rollout
from shotstream.sampling.solvers import Sampler
from shotstream.sampling.streaming import StreamingShot


def next_shot_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    latents: Tensor,
    timesteps: Tensor,
    condition_time: ConditionTime,
    positions: Tensor | None = None,
) -> Tensor:
    """Flow [B, F, C, h, w] of a whole shot's ``latents`` from one sequence [condition frames | shot].

    caption: the shot's own, [B, W, text_dim]. timesteps: [B] or [B, F].
    condition_time: "zero", condition frames are at timestep 0 and see only each other; "same", they carry the
    shot's (first) timestep and all frames see all, as in the reference's teacher and score networks.
    positions: [K + F] or [B, K + F], frame positions in the sequence; None counts from 0.
    """
    batch, frames = latents.shape[:2]
    kept = context.frames
    times = timesteps.reshape(batch, -1).expand(batch, frames)
    at_zero = condition_time == "zero"
    condition_times = (torch.zeros_like(times[:, :1]) if at_zero else times[:, :1]).expand(batch, kept)
    new_shot = context.next_shot.expand(*context.shot_index.shape[:-1], frames)
    flow = model(
        torch.cat([context.latents, latents], dim=1),
        torch.cat([condition_times, times], dim=1),
        torch.cat([context.captions, caption[:, None]], dim=1),
        caption_index=context.caption_index,
        positions=positions,
        shot_index=torch.cat([context.shot_index, new_shot], dim=-1),
        layout=next_shot(kept, frames) if at_zero else None,
    )
    return flow[:, kept:]


class JointShot:
    """A whole shot as one block, condition frames recomputed at every step with the shot's timestep ("same")."""

    def __init__(self, model: Transformer, context: ContextFrames, caption: Tensor, guidance: float) -> None:
        self.model = model
        self.branches = Branches(guidance)
        self.caption = self.branches.captions(caption)
        self.context = self.branches.context(context)

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """Guided flow of the shot's latents x [B, F, C, h, w]."""
        x = self.branches.latents(x)
        timesteps = torch.full((len(x),), timestep)
        return self.branches.guided(next_shot_flow(self.model, self.context, self.caption, x, timesteps, "same"))

    def finish(self, clean: Tensor) -> None:
        """Nothing follows: the shot is one block."""


def teacher_shot(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    *,
    frames: int,
    guidance: float,
    condition_time: ConditionTime,
) -> ShotFlow:
    """The shot of ``frames`` latent frames that the bidirectional model is asked for, ready for a solver.

    With condition time "zero" the condition frames' keys and values are computed once, here.
    """
    if condition_time == "same":
        return JointShot(model, context, caption, guidance)
    shot = StreamingShot(model, context, max_frames=frames, guidance=guidance)
    shot.read(caption)
    return shot


def sample_shot(
    shot: ShotFlow,
    sampler: Sampler,
    noise: NoiseSource,
    shape: tuple[int, int, int, int],
    device: torch.device | None = None,
) -> Tensor:
    """Latents [B, F, C, h, w] of a whole shot in one block, on ``device``; ``shape`` is (F, C, h, w)."""
    (latents,) = rollout(shot, sampler, noise, blocks=1, block_shape=shape, device=device)
    return latents
