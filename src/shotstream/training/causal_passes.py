"""The causal student's two training passes over a whole shot; the visibility is the one the caches obey.

Axes: B batch · K condition frames · F latent frames of the new shot · C channels · h, w cells · L caption tokens
"""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.models.transformer import Transformer
from shotstream.models.visibility import block_causal, clean_and_noisy
from shotstream.sampling.context import ContextFrames


def block_causal_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    latents: Tensor,
    timesteps: Tensor,
    block_frames: int,
) -> Tensor:
    """Flow [B, F, C, h, w] of [condition frames at timestep 0 | ``latents`` at ``timesteps`` [B, F]].

    A block sees condition frames and every earlier block of the input as it is, noisy or clean (CausVid,
    arXiv 2412.07772). caption: the shot's own, [B, L, D].
    """
    count, frames = latents.shape[:2]
    kept = context.frames
    return model(
        torch.cat([context.latents, latents], dim=1),
        torch.cat([torch.zeros(count, kept), timesteps], dim=1),
        torch.cat([context.captions, caption[:, None]], dim=1),
        caption_index=context.caption_index,
        shot_index=torch.cat([context.shot_index.expand(count, -1), context.next_shot.expand(count, frames)], dim=1),
        layout=block_causal(kept, frames, block_frames),
    )[:, kept:]


def teacher_forced_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    clean: Tensor,
    noisy: Tensor,
    timesteps: Tensor,
    block_frames: int,
) -> Tensor:
    """Flow [B, F, C, h, w] of ``noisy`` in [condition frames | every block clean | every block noisy].

    A noisy block sees condition frames, the ``clean`` blocks before it, and itself: what the caches hold when
    streaming. timesteps: [B, F], of the noisy blocks. caption: the shot's own, [B, L, D].
    """
    count, frames = noisy.shape[:2]
    kept = context.frames
    shot = torch.arange(kept, kept + frames)
    return model(
        torch.cat([context.latents, clean, noisy], dim=1),
        torch.cat([torch.zeros(count, kept + frames), timesteps], dim=1),
        torch.cat([context.captions, caption[:, None]], dim=1),
        caption_index=context.caption_index,
        positions=torch.cat([torch.arange(kept), shot, shot]),
        shot_index=torch.cat(
            [context.shot_index.expand(count, -1), context.next_shot.expand(count, 2 * frames)], dim=1
        ),
        layout=clean_and_noisy(kept, frames, block_frames),
    )[:, kept + frames :]
