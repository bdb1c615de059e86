"""How many operations a second this machine can do at all: one large product, and the model's own products alone.

Axes: T tokens of a block, K keys, W caption tokens, C width, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from shotstream.core.geometry import Geometry
from shotstream.models.config import TransformerConfig

LARGE, SMALLER = 4096, 1024  # side of the square product; the smaller one when there is little time
Work = Callable[[], object]


def matmul_ceiling(device: torch.device, dtype: torch.dtype, side: int, repeats: int = 5) -> float:
    """FLOP/s of the best of some square products of that side."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: a @ b, device, repeats)


@dataclass(frozen=True, slots=True)
class OwnProducts:
    """The products of one denoising pass over a block in the middle of a shot, without anything between them."""

    linear: tuple[tuple[Tensor, Tensor, Tensor], ...]  # input [T, in], weight [out, in], bias [out], layer by layer
    attention: tuple[tuple[Tensor, Tensor], ...]  # left and right of each batched product, likewise

    @classmethod
    def of(
        cls, config: TransformerConfig, geometry: Geometry, text_len: int, dtype: torch.dtype, device: torch.device
    ) -> OwnProducts:
        """Random numbers of the right shapes; every layer has weights of its own."""
        tokens = geometry.block_frames * geometry.tokens_per_frame
        blocks = (geometry.default_blocks + 1) / 2  # seen by the mean block, itself included
        keys = geometry.context_frames * geometry.tokens_per_frame + round(blocks * tokens)
        sides = [(config.dim, config.dim)] * 6 + [(config.dim, config.ffn_dim), (config.ffn_dim, config.dim)]

        def make(*shape: int) -> Tensor:
            return torch.randn(shape, device=device, dtype=dtype)

        linear = tuple((make(tokens, a), make(b, a), make(b)) for _ in range(config.layers) for a, b in sides)
        heads, width = config.heads, config.head_dim
        attention = tuple(
            pair
            for _ in range(config.layers)
            for seen in (keys, text_len)
            for pair in (
                (make(heads, tokens, width), make(heads, width, seen)),
                (make(heads, tokens, seen), make(heads, seen, width)),
            )
        )
        return cls(linear, attention)

    @property
    def flops(self) -> float:
        lines = sum(2 * x.shape[0] * weight.numel() for x, weight, _ in self.linear)
        return lines + sum(2 * left.numel() * right.shape[2] for left, right in self.attention)

    def run(self) -> None:
        """All of them, one after the other."""
        for x, weight, bias in self.linear:
            F.linear(x, weight, bias)
        for left, right in self.attention:
            torch.bmm(left, right)

    def ceiling(self, device: torch.device, repeats: int = 30) -> float:
        """FLOP/s of the best of some runs."""
        return self.flops / _best(self.run, device, repeats)


@torch.no_grad()
def _best(work: Work, device: torch.device, repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` runs, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        started = perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(perf_counter() - started)
    return min(times[1:])
