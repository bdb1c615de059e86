"""Compiled layers while a shot streams: a graph for every shape of pass, whatever the caches hold.

A layer is compiled in two halves, before and behind its self-attention. What the halves compute depends on the frames
of the pass alone; the window is only seen by the attention between them, which is one kernel already. So a film needs a
graph for each kind of pass (the context, a step, a refresh together with the next block's first step), not one for
every length of the caches, and all layers share it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from functools import partial
from time import perf_counter
from typing import Any, cast

import torch
from torch import Tensor, nn

from shotstream.models.attention import Backend
from shotstream.models.caches import CaptionsRead
from shotstream.models.layers import Layer, Modulation, Pass, Stream
from shotstream.models.rope import Heads

log = logging.getLogger(__name__)
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
by_torch: Compiler = partial(torch.compile, dynamic=False)


def _before(layer: Layer, x: Stream, time: Modulation, rotations: Tensor) -> tuple[Heads, Heads, Heads]:
    return layer.before_attention(x, layer.modulations(time), rotations)


def _after(layer: Layer, x: Stream, time: Modulation, seen: Heads, captions: CaptionsRead, backend: Backend) -> Stream:
    parts = layer.modulations(time)
    return layer.feed_forward(layer.after_attention(x, parts, seen, captions, backend), parts)


class CompiledPasses:
    """Runs a model's layers (:data:`shotstream.models.transformer.LayerRunner`) in two halves that ``compiler`` has
    compiled. The first pass of every shape waits for it, and the log says how long."""

    def __init__(self, compiler: Compiler = by_torch) -> None:
        self._before, self._after = compiler(_before), compiler(_after)
        self.shapes: set[Hashable] = set()  # of passes so far

    def __call__(
        self, layer: nn.Module, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int
    ) -> Tensor:
        if index:
            return self._run(cast(Layer, layer), x, time, captions, call, index)
        shape = _shape(x, time, captions, call)
        new, began = shape not in self.shapes, perf_counter()
        if new:
            log.info("compiling passes of %d frames", x.shape[1])
        made = self._run(cast(Layer, layer), x, time, captions, call, index)
        if new:
            self.shapes.add(shape)
            log.info("compiled in %.0f s; shapes of pass so far: %d", perf_counter() - began, len(self.shapes))
        return made

    def _run(self, layer: Layer, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int) -> Tensor:
        seen = call.see(self._before(layer, x, time, call.rotations), index)
        return cast(Tensor, self._after(layer, x, time, seen, captions, call.backend))


def _shape(x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass) -> Hashable:
    """What a graph is made for."""
    read = tuple(None if one is None else (one.keys.shape, one.bias is None) for one in captions)
    return x.shape, time.shape, call.rotations.shape, read
