"""Activation checkpointing (arXiv 1604.06174): of a layer only what enters it is kept, and it is run again when the
backward pass comes to it. Half as much computation more, and memory for one layer instead of all.

A layer that writes to a cache sees, when it is run again, the cache as it was then, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from shotstream.models.caches import Cache, CaptionsRead, GradientMemory
from shotstream.models.layers import Pass
from shotstream.models.transformer import Transformer


def checkpoint_layers(modules: Iterable[nn.Module]) -> None:
    """Checkpoint the layers of every transformer among ``modules``."""
    for module in modules:
        if isinstance(module, Transformer):
            module.run_layers_by(_run)


def _run(layer: nn.Module, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int) -> Tensor:
    cache = call.cache
    if not torch.is_grad_enabled() or (cache is not None and not isinstance(cache.storage, GradientMemory)):
        return cast(Tensor, layer(x, time, captions, call, index))
    if cache is not None:
        call = replace(call, cache=_Rerun(cache))
    return cast(
        Tensor,
        checkpoint(layer, x, time, captions, call, index, use_reentrant=False, preserve_rng_state=False),
    )


class _Rerun(Cache):
    """A cache for one layer of one pass: the first append goes to ``cache``, later ones to what that held before."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache.storage)
        self._cache = cache
        self._place = cache.end
        self._before: GradientMemory | None = None

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self._before is not None:
            return self._before.write(layer, self._place, k, v)
        self._before = cast(GradientMemory, self.storage).as_it_is()
        return self._cache.append(layer, k, v)
