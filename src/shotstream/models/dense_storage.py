"""Keys and values without gaps: on a CPU a batched matmul copies what has any, in every pass.

Axes: L layers, B batch, T tokens, H heads, D head width.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

from shotstream.models.caches import Seen
from shotstream.models.config import TransformerConfig
from shotstream.models.rope import Heads, rotate


class DenseStorage:
    """Preallocated storage (:class:`shotstream.models.caches.Storage`) with one head's tokens right behind another's.

    So a longer window has its heads elsewhere: what is kept moves once per block, not in each of its passes.
    What :meth:`write` and :meth:`read` return is good until the next write.
    """

    def __init__(self, pages: tuple[Tensor, Tensor], config: TransformerConfig, batch: int, capacity: int) -> None:
        self._pages = pages  # keys and values, each [L, B capacity H D]
        self._shape = (batch, config.heads, config.head_dim)
        self._capacity = capacity
        self._tokens = [0] * config.layers  # in the window of each layer

    @classmethod
    def allocate(
        cls, config: TransformerConfig, *, batch: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> DenseStorage:
        """Room for ``capacity`` tokens per sample, on a CPU."""
        if device.type != "cpu":
            raise ValueError(f"dense storage is for CPUs, not {device}")
        shape = (config.layers, batch * capacity * config.dim)
        return cls((_own_pages(shape, dtype), _own_pages(shape, dtype)), config, batch, capacity)

    @property
    def bytes(self) -> int:
        return sum(pages.nbytes for pages in self._pages)

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        stop = start + k.shape[1]
        if stop > self._capacity:
            raise ValueError(f"the cache holds {self._capacity} tokens; {stop} were needed")
        if stop != self._tokens[layer]:
            self._resize(layer, start, stop)
        keys, values = self._windows(layer)
        keys[:, start:] = k
        values[:, start:] = v
        return keys, values

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        windows = [self._windows(layer) for layer in range(len(self._tokens))]
        return [(k[:, start:stop], v[:, start:stop]) for k, v in windows]

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        kept = stop - start - drop
        for layer in range(len(self._tokens)):
            keys, values = self._windows(layer)
            values[:, start : start + kept] = values[:, start + drop : stop].clone()
            keys[:, start : start + kept] = rotate(keys[:, start + drop : stop], rotation).to(keys.dtype)

    def _windows(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values [B, T, H, D] of the tokens in use."""
        batch, heads, width = self._shape
        tokens = self._tokens[layer]
        numbers = batch * heads * tokens * width
        keys, values = (pages[layer, :numbers].view(batch, heads, tokens, width) for pages in self._pages)
        return keys.transpose(1, 2), values.transpose(1, 2)

    def _resize(self, layer: int, kept: int, tokens: int) -> None:
        """Make the window of ``layer`` one of ``tokens`` tokens, with the first ``kept`` in it."""
        before = [window[:, :kept].clone() for window in self._windows(layer)]
        self._tokens[layer] = tokens
        for window, old in zip(self._windows(layer), before, strict=True):
            window[:, :kept] = old


def _own_pages(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Zeros in pages asked of the system, not of the allocator, and given back with the tensor.

    Storage lives for a shot, what passes allocate for milliseconds; from one heap, films that alternate leave holes
    between them that no later one fits, and a studio's process grows.
    """
    count = math.prod(shape)
    return torch.frombuffer(mmap.mmap(-1, count * dtype.itemsize), dtype=dtype).view(*shape)
