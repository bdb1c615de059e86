"""What timesteps become, kept for those seen before: a few-step sampler asks for the same ones in every block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_

from torch import Tensor, nn

Times = tuple[Tensor, Tensor]  # embedding [B, F or 1, C] and six-way modulation [B, F or 1, 6, C], float32

MOST_KEPT = 64  # 50 shots of a film need a dozen; a solver with many steps starts over now and then


class KnownTimes:
    """Embeddings of timesteps, worked out once for weights that do not change; ``most`` are kept."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self._known: dict[object, Times] = {}
        self._weights: tuple[Tensor, ...] = ()
        self._state: list[tuple[int, int]] = []

    def of(self, timesteps: Tensor, weights: Iterable[Tensor], work_out: Callable[[Tensor], Times]) -> Times:
        """``work_out(timesteps)`` [B, F or 1], or what it was when asked last with the same ``weights``.

        Nothing is kept of weights that learn or are no plain tensors (sharded, fake), or where looking at the
        timesteps would wait for a device.
        """
        weights = tuple(weights)
        plain = all(type(one) in (Tensor, nn.Parameter) for one in (timesteps, *weights))
        if not plain or timesteps.device.type != "cpu" or any(one.requires_grad for one in weights):
            return work_out(timesteps)
        self._forget_unless(weights)
        key = (timesteps.shape, tuple(timesteps.flatten().tolist()))
        if key in self._known:
            return self._known[key]
        times = work_out(timesteps)
        if len(self._known) >= self.most:
            self._known.clear()
        if self.most:
            self._known[key] = times
        return times

    def _forget_unless(self, weights: tuple[Tensor, ...]) -> None:
        """Keep what is known only if it is of these weights, unchanged."""
        state = [(one.data_ptr(), one._version) for one in weights]
        same = len(weights) == len(self._weights) and all(map(is_, weights, self._weights)) and state == self._state
        if not same:
            self._known.clear()
            self._weights, self._state = weights, state
