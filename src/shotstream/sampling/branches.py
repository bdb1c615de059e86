"""Classifier-free guidance in one batch: conditional and unconditional samples share every pass.

Axes: B batch, F frames, C channels, h, w latent cells, S captions, W caption tokens, D their width.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from shotstream.sampling.context import ContextFrames

Latents = Annotated[Tensor, "_ F C h w"]


def guide(cond: Annotated[Tensor, "..."], uncond: Annotated[Tensor, "..."], scale: float) -> Annotated[Tensor, "..."]:
    """uncond + scale (cond - uncond), element by element; a scale of 1 is no guidance.

    The reference's DMD code writes cond + scale (cond - uncond): its 3.0 is 4.0 here. Its trajectory sampler agrees.
    """
    return uncond + scale * (cond - uncond)


class Branches:
    """[cond | uncond] along the batch, or one branch when ``guidance`` is 1.

    unconditional: the embedding [W, D] that the second branch reads in the place of every caption, that of a negative
    prompt; None is zeros.
    """

    def __init__(self, guidance: float, unconditional: Tensor | None = None) -> None:
        self.guidance = guidance
        self.unconditional = unconditional
        self.count = 1 if guidance == 1 else 2

    def latents(self, x: Tensor) -> Tensor:
        """[B, ...] -> [count * B, ...], the same in both."""
        return torch.cat([x] * self.count) if self.count > 1 else x

    def index(self, index: Annotated[Tensor, "F | B F"]) -> Annotated[Tensor, "F | _ F"]:
        """[F] serves every sample as it is; [B, F] is repeated."""
        return self.latents(index) if index.dim() == 2 else index

    def captions(self, captions: Annotated[Tensor, "B S W D | B W D"]) -> Annotated[Tensor, "_ S W D | _ W D"]:
        """[B, ...] -> [count * B, ...], the unconditional text in the second half."""
        return torch.cat([captions, self.silent(captions)]) if self.count > 1 else captions

    def silent(self, captions: Annotated[Tensor, "... W D"]) -> Annotated[Tensor, "... W D"]:
        """What the unconditional branch reads where the other reads ``captions`` [..., W, D]."""
        if self.unconditional is None:
            return torch.zeros_like(captions)
        return self.unconditional.to(captions).expand_as(captions)

    def context(self, context: ContextFrames) -> ContextFrames:
        """The same condition frames in both; the second half reads the unconditional text."""
        return ContextFrames(
            latents=self.latents(context.latents),
            shot_index=self.index(context.shot_index),
            captions=self.captions(context.captions),
            caption_index=self.index(context.caption_index),
        )

    def guided(self, flow: Latents) -> Latents:
        """[count * B, F, C, h, w] -> [B, F, C, h, w]."""
        if self.count == 1:
            return flow
        cond, uncond = flow.chunk(2)
        return guide(cond, uncond, self.guidance)
