"""What a prompt says to the model, worked out once per prompt: its embedding, and the model's keys and values of it.

Every prompt is read alone, never in a batch, so that what was read before changes no bit of a picture.

Axes: S captions, W caption tokens, D their width, L layers, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder
from shotstream.models.caches import CaptionCache
from shotstream.models.transformer import Transformer
from shotstream.sampling.branches import Branches


class TextOnce:
    """A text encoder that keeps the embeddings of the last ``kept`` captions it was asked for."""

    def __init__(self, encoder: TextEncoder, kept: int) -> None:
        self.encoder = encoder
        self.kept = kept
        self._one = lru_cache(maxsize=kept)(lambda caption: encoder.encode([caption])[0])

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


class PromptReader:
    """Keys and values of prompts for ``model``, those of the last ``kept`` prompts at hand, and of one read ahead."""

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
        each = [self._one(prompt) for prompt in prompts]
        if self.branches.count > 1:
            silent = self._silence()
            each = [CaptionCache(*map(_beside, one, silent)) for one in each]
        if len(each) == 1:
            return each[0]
        return CaptionCache(_side_by_side([one.keys for one in each]), _side_by_side([one.values for one in each]))

    @torch.no_grad()
    def read_ahead(self, prompt: str) -> None:
        """Have ``prompt`` at hand too, in the place of the one read ahead before: drafts push out nothing else."""
        if self._ahead is None or self._ahead[0] != prompt:
            self._ahead = prompt, self._of_one(prompt)

    def _ahead_or_now(self, prompt: str) -> CaptionCache:
        ahead = self._ahead
        return ahead[1] if ahead is not None and ahead[0] == prompt else self._of_one(prompt)

    def _of_one(self, prompt: str) -> CaptionCache:
        return self.model.encode_captions(self.text.encode([prompt])[:, None].to(self.model.device))

    def _of_silence(self) -> CaptionCache:
        """What the unconditional branch reads: zeros."""
        blank = torch.zeros(1, 1, self.text.text_len, self.text.text_dim, device=self.model.device)
        return self.model.encode_captions(blank)


def _side_by_side(prompts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Per layer all prompts along S."""
    return tuple(torch.cat(layer, dim=1) for layer in zip(*prompts, strict=True))


def _beside(prompt: tuple[Tensor, ...], silent: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Per layer [cond | uncond] along the batch."""
    return tuple(torch.cat(pair) for pair in zip(prompt, silent, strict=True))
