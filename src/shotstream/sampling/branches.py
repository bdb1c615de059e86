"""Guidance in one batch: the conditional and the unconditional branch of every pass ride together.

Axes: B batch, F frames, C channels, h, w latent cells, S captions, W caption tokens, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.core.guidance import guide
from shotstream.sampling.context import ContextFrames


class Branches:
    """[cond | uncond] along the batch, or one branch when ``guidance`` is 1. Unconditional means zero captions."""

    def __init__(self, guidance: float) -> None:
        self.guidance = guidance
        self.count = 1 if guidance == 1 else 2

    def latents(self, x: Tensor) -> Tensor:
        """[B, ...] -> [count * B, ...], the same in both."""
        return torch.cat([x] * self.count) if self.count > 1 else x

    def index(self, index: Tensor) -> Tensor:
        """[F] serves every sample as it is; [B, F] is repeated."""
        return self.latents(index) if index.dim() == 2 else index

    def captions(self, captions: Tensor) -> Tensor:
        """[B, S, W, D] -> [count * B, S, W, D], zeros in the second half."""
        return torch.cat([captions, torch.zeros_like(captions)]) if self.count > 1 else captions

    def context(self, context: ContextFrames) -> ContextFrames:
        """The same condition frames in both; the second half knows no captions."""
        return ContextFrames(
            latents=self.latents(context.latents),
            shot_index=self.index(context.shot_index),
            captions=self.captions(context.captions),
            caption_index=self.index(context.caption_index),
        )

    def guided(self, flow: Tensor) -> Tensor:
        """[count * B, F, C, h, w] -> [B, F, C, h, w]."""
        if self.count == 1:
            return flow
        cond, uncond = flow.chunk(2)
        return guide(cond, uncond, self.guidance)
