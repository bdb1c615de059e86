"""Other ways to run a model's layers: compiled while a shot streams, or shared by several GPUs.

Compiled: a layer in two halves, before and behind its self-attention. What the halves compute depends on the frames
of the pass alone; the window is only seen by the attention between them, which is one kernel already. So a film needs a
graph for each kind of pass (the context, a step, a refresh together with the next block's first step), not one for
every length of the caches, and all layers share it.

Shared: sequence parallelism (Ulysses, arXiv 2309.14509). torchrun starts a process for every GPU, and all of them run
the same program. Outside of attention a process has its share of each frame's tokens; in self-attention it has its
share of the heads, of all tokens. Between the two, tokens and heads are exchanged. So the work of a pass is shared, and
so are the caches: a process keeps its own heads' keys and values. The rest (text, noise, autoencoder) every process
computes for itself, and all come to have the same frames.

Axes: P processes, B batch, F latent frames, N tokens of one frame, n = N / P, T = F N, H heads, h = H / P, D head
width, C width.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Hashable
from functools import partial
from time import perf_counter
from typing import Annotated, Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from shotstream.core.errors import InputError
from shotstream.models.attention import Backend
from shotstream.models.caches import CaptionsRead
from shotstream.models.config import TransformerConfig
from shotstream.models.layers import Layer, Modulation, Pass, Stream
from shotstream.models.rope import Heads
from shotstream.sampling.streaming import StreamingShot

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


def join_processes(device_type: str) -> torch.device:
    """Meet the other processes that torchrun has started, before a model is loaded; the GPU that is this one's. Raises
    :class:`InputError` where there are no others."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        raise InputError("sequence-parallel: start a process for each GPU with torchrun (docs/wan.md), or leave it out")
    device = torch.device(device_type)
    if device_type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return device


class SharedPasses:
    """Runs a model's layers (:data:`shotstream.models.transformer.LayerRunner`), every process its share of them.

    Raises :class:`InputError` for heads or tokens that cannot be shared evenly.
    """

    def __init__(self, config: TransformerConfig, tokens_per_frame: int) -> None:
        self._count, self._rank, self._last = dist.get_world_size(), dist.get_rank(), config.layers - 1
        for number, what in ((config.heads, "heads"), (tokens_per_frame, "tokens of a frame")):
            if number % self._count:
                raise InputError(
                    f"sequence-parallel: {number} {what} cannot be shared by {self._count} processes evenly"
                )

    def __call__(
        self, module: nn.Module, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int
    ) -> Tensor:
        """``x`` [B, F, N, C] enters the first layer and leaves the last; between them it is [B, F, n, C]."""
        layer = cast(Layer, module)
        if index == 0:
            x = x.chunk(self._count, dim=2)[self._rank]
        frames, parts = x.shape[1], layer.modulations(time)
        own = layer.before_attention(x, parts, self._own(call.rotations, frames))
        q, k, v = self._all_tokens(torch.stack(own).unflatten(2, (frames, -1)))
        seen = self._all_heads(call.see((q, k, v), index).unflatten(1, (frames, self._count, -1)))
        x = layer.feed_forward(layer.after_attention(x, parts, seen, captions, call.backend), parts)
        return x if index < self._last else self._gathered(x)

    def _own(self, rotations: Annotated[Tensor, "... T 1 D/2 2"], frames: int) -> Tensor:
        """Those of this process's tokens."""
        by_frame = rotations.unflatten(-4, (frames, self._count, -1))
        return by_frame.select(-5, self._rank).flatten(-5, -4)

    def _all_tokens(self, own: Annotated[Tensor, "3 B F n H D"]) -> Annotated[Tensor, "3 B T h D"]:
        """All heads of own tokens -> own heads of all tokens."""
        by_heads = own.unflatten(4, (self._count, -1)).movedim(4, 0)
        return self._exchanged(by_heads).movedim(0, 3).flatten(2, 4)

    def _all_heads(self, seen: Annotated[Tensor, "B F P n h D"]) -> Annotated[Tensor, "B T/P H D"]:
        """And back."""
        return self._exchanged(seen.movedim(2, 0)).movedim(0, 3).flatten(3, 4).flatten(1, 2)

    def _exchanged(self, given: Annotated[Tensor, "P ..."]) -> Annotated[Tensor, "P ..."]:
        """What each process gives to each other -> what it gets from each."""
        given = given.contiguous()
        got = torch.empty_like(given)
        dist.all_to_all_single(got, given)
        return got

    def _gathered(self, x: Annotated[Tensor, "B F n C"]) -> Annotated[Tensor, "B F N C"]:
        shares = [torch.empty_like(x) for _ in range(self._count)]
        dist.all_gather(shares, x.contiguous())
        return torch.cat(shares, dim=2)


class SharedShot(StreamingShot):
    """A shot whose caches hold this process's heads."""

    @property
    def cached(self) -> TransformerConfig:
        config, count = self.model.config, dist.get_world_size()
        return config.model_copy(update={"heads": config.heads // count, "dim": config.dim // count})
