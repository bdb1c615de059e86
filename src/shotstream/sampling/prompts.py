"""What a pass reads: cached prompts, and the branches of classifier-free guidance, which share every pass in one batch.

Of a prompt its embedding is kept, and the cross-attention keys and values the model computes from it. Every prompt is
encoded alone, never in a batch, so that the content of the cache changes no bit of a frame.

Axes: B batch, F frames, C channels, h, w latent cells, S captions, W caption tokens, D their width, L layers, H heads.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder
from shotstream.core.errors import PromptWarning
from shotstream.core.words import lost_said, unknown_said
from shotstream.models.caches import CaptionCache
from shotstream.models.transformer import Transformer
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


class Blend(NamedTuple):
    """On the way from the prompt ``begins`` to another, of whose embedding ``share``, above 0 and below 1, is read."""

    begins: str
    share: float


class CachedTextEncoder:
    """A text encoder that keeps the embeddings of the last ``kept`` captions it was asked for."""

    def __init__(self, encoder: TextEncoder, kept: int) -> None:
        self.encoder = encoder
        self.kept = kept
        self._one = lru_cache(maxsize=kept)(self._read)
        self._told: set[str] = set()  # unknown words

    @property
    def text_len(self) -> int:
        return self.encoder.text_len

    @property
    def text_dim(self) -> int:
        return self.encoder.text_dim

    def encode(self, captions: Sequence[str]) -> Tensor:
        """[N, text_len, text_dim]."""
        return torch.stack([self._one(caption) for caption in captions])

    def unknown_words(self, text: str) -> list[str]:
        return self.encoder.unknown_words(text)

    def lost_words(self, text: str) -> list[str]:
        return self.encoder.lost_words(text)

    def _read(self, caption: str) -> Tensor:
        lost = self.lost_words(caption)
        if lost:
            warnings.warn(lost_said(lost, self.text_len), PromptWarning, stacklevel=2)
        unknown = [word for word in self.unknown_words(caption) if word not in self._told]
        if unknown:
            self._told.update(unknown)
            warnings.warn(unknown_said(unknown), PromptWarning, stacklevel=2)
        return self.encoder.encode([caption])[0]


class PromptCache:
    """Keys and values of the last ``kept`` prompts for ``model``, and of one that was encoded ahead."""

    def __init__(self, model: Transformer, text: TextEncoder, branches: Branches, kept: int) -> None:
        self.model = model
        self.text = text
        self.branches = branches
        self.kept = kept
        self._one = lru_cache(maxsize=kept)(self._ahead_or_now)
        self._ahead: tuple[str, CaptionCache] | None = None
        self._silence = lru_cache(maxsize=1)(self._of_silence)

    @torch.no_grad()
    def read(self, prompts: Sequence[str]) -> CaptionCache:
        """k, v per layer of ``prompts`` as captions 0, 1, ...: [1, S, W, H, D], or both guidance branches, [2, ...]."""
        return self._branched([self._one(prompt) for prompt in prompts])

    @torch.no_grad()
    def read_blended(self, prompt: str, blend: Blend) -> CaptionCache:
        """The same of one caption on its way to ``prompt``: of both embeddings, mixed token by token."""
        begins, ends = self.text.encode([blend.begins, prompt])
        mixed = torch.lerp(begins, ends, blend.share)[None, None]
        return self._branched([self.model.encode_captions(mixed.to(self.model.device))])

    def _branched(self, each: list[CaptionCache]) -> CaptionCache:
        if self.branches.count > 1:
            silent = self._silence()
            each = [CaptionCache.joined([one, silent], dim=0) for one in each]
        return each[0] if len(each) == 1 else CaptionCache.joined(each, dim=1)

    @torch.no_grad()
    def read_ahead(self, prompt: str) -> None:
        """Encode ``prompt`` as well, in place of the one encoded ahead before: drafts evict nothing else."""
        if self._ahead is None or self._ahead[0] != prompt:
            self._ahead = prompt, self._of_one(prompt)

    def forget(self) -> None:
        """The model's weights have changed: encode everything anew."""
        self._ahead = None
        self._one.cache_clear()
        self._silence.cache_clear()

    def _ahead_or_now(self, prompt: str) -> CaptionCache:
        ahead = self._ahead
        return ahead[1] if ahead is not None and ahead[0] == prompt else self._of_one(prompt)

    def _of_one(self, prompt: str) -> CaptionCache:
        return self.model.encode_captions(self.text.encode([prompt])[:, None].to(self.model.device))

    def _of_silence(self) -> CaptionCache:
        """Keys and values of what the unconditional branch reads."""
        blank = torch.zeros(1, 1, self.text.text_len, self.text.text_dim, device=self.model.device)
        return self.model.encode_captions(self.branches.silent(blank))
