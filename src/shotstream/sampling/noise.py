"""Where a rollout's noise comes from: named streams, or tensors recorded elsewhere.

Axes: B batch, f frames of one block, C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from shotstream.core.randomness import stream

Shape = tuple[int, ...]


class NoiseSource(Protocol):
    """Standard normal noise for every block and step of one shot (of each sample of a batch)."""

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        """[B, *shape] float32 on the CPU, ``shape`` = (f, C, h, w). Step 0 starts block ``block``, step k > 0
        re-noises its k-th clean prediction."""
        ...


class NamedNoise:
    """Noise named by (seed; shot, take, block, purpose): the same take is the same to the bit."""

    def __init__(self, seed: int, *, shot: int, take: int = 0) -> None:
        self.names = (seed, "shot", shot, "take", take)

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        purpose = ("renoise", step) if step else ("start",)
        return torch.randn((1, *shape), generator=stream(*self.names, "block", block, *purpose))


class BatchNoise:
    """One source per sample: a picture does not change with the batch it is made in."""

    def __init__(self, sources: Sequence[NoiseSource]) -> None:
        self.sources = sources

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        return torch.cat([source.draw(block, step, shape) for source in self.sources])


class RecordedNoise:
    """Noise drawn by someone else: ``start`` [B, F, C, h, w], ``renoise`` [draws, f, C, h, w] in order of use."""

    def __init__(self, start: Tensor, renoise: Tensor, draws_per_block: int) -> None:
        self.start = start
        self.renoise = renoise
        self.draws_per_block = draws_per_block

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        frames = shape[0]
        if step:
            return self.renoise[block * self.draws_per_block + step - 1][None]
        return self.start[:, block * frames : (block + 1) * frames]
