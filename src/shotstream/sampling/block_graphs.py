"""CUDA graphs of a block: its passes are recorded once per shape and replayed.

A recorded graph reads and writes fixed addresses and knows nothing of Python. So all a block needs lies at fixed
places (:class:`StaticCache`), which outlive the shot, and what a block changes of the shot's own book-keeping is done
beside it. A shape is what is in the window behind the block; a shot of N blocks has N of them, and a window that rolls
stays at the last. Rolling, another prompt and the context pass are not recorded.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from types import MethodType
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from shotstream.models.caches import CaptionCache, KeyValueStorage, Storage
from shotstream.sampling.solvers import NEVER, Draw, Flow, GradientPolicy, Sampler
from shotstream.sampling.streaming import StreamingShot

log = logging.getLogger(__name__)
WARM_UPS = 2  # runs before recording: kernels are chosen and work spaces allocated in the first
Replay = Callable[[], None]


class Recorder(Protocol):
    """Records work on a device."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Replay]:
        """Where the result of ``work`` is after every replay, and what replays it. ``work`` may run several times;
        it reads and writes the same addresses in each."""
        ...


class CudaRecorder:
    """CUDA graphs. Their intermediate tensors share one pool, as no two are replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Replay]:
        aside, here = torch.cuda.Stream(self._device), torch.cuda.current_stream(self._device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Threads that decode or draw meanwhile may go on: only this one must not allocate outside the pool.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = work()
        return result, graph.replay


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """``steps``: which draws of noise it reads."""

    result: Tensor
    replay: Replay
    steps: tuple[int, ...]


@dataclass(slots=True)
class StaticCache:
    """A KV cache, and all else that a shot's blocks read, at fixed addresses; and the graphs recorded over them.

    ``kept``: other tensors that the graphs read, held so that nobody frees them.
    """

    storage: KeyValueStorage
    places: dict[Hashable, Tensor] = field(default_factory=dict)
    graphs: dict[Hashable, RecordedBlock] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)

    def place(self, name: Hashable, value: Tensor) -> Tensor:
        """Copy ``value`` to where tensors of this name and shape lie; returns that."""
        key = (name, value.shape, value.dtype)
        if key not in self.places:
            self.places[key] = torch.empty_like(value, memory_format=torch.contiguous_format)
        return self.places[key].copy_(value, non_blocking=True)

    def place_captions(self, captions: CaptionCache) -> CaptionCache:
        """The same of all layers' keys and values of a prompt."""
        keys, values = (
            tuple(self.place((name, layer), tensor) for layer, tensor in enumerate(tensors))
            for name, tensors in (("k", captions.keys), ("v", captions.values))
        )
        return CaptionCache(keys, values, None if captions.bias is None else self.place("bias", captions.bias))


class StaticCaches:
    """The static caches of one generator's shots: lent to a shot for as long as it lives, then to another."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._free: dict[Hashable, StaticCache] = {}

    def lend(self, key: Hashable, make: Callable[[], StaticCache], shot: object) -> StaticCache:
        """A free cache of this ``key``, or a new one. When ``shot`` is gone it is free again, and one of them kept."""
        cache = self._free.pop(key, None) or make()
        weakref.finalize(shot, self._free.__setitem__, key, cache).atexit = False
        return cache


class GraphedShot(StreamingShot):
    """A shot whose blocks are replayed. Made by :meth:`ShotGenerator.record_blocks`, which sets ``static_caches``."""

    static_caches: ClassVar[StaticCaches]
    fixed: StaticCache

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        if self.gradient.anywhere or self.cache_place != "device":
            raise ValueError("blocks are recorded without gradients, with caches on the device")
        key = (latents.shape, max_frames, self.branches.count)
        self.fixed = self.static_caches.lend(
            key, lambda: StaticCache(self.allocate(KeyValueStorage, latents, max_frames)), self
        )
        return self.fixed.storage

    def rotations_of(self, frame: int, frames: int) -> Tensor:
        return self.fixed.place("rotations", super().rotations_of(frame, frames))

    def read(self, caption: Tensor | CaptionCache) -> None:
        super().read(caption)
        assert self._captions is not None
        self._captions = self.fixed.place_captions(self._captions)

    def block(self, sampler: Sampler, name: Hashable, draw: Draw) -> Tensor:
        """The next block's clean latents, as ``sampler`` makes them of the noise that ``draw`` draws. Samplers of one
        ``name`` do the same."""
        start, pending, fixed = draw(0), self._pending, self.fixed
        self.make_room(start.shape[1])
        if pending is not None:
            fixed.place("pending", pending)
        assert self._captions is not None
        key = (name, start.shape, self.frames, pending is None, self._captions.keys[0].shape, self.fuse)
        if key not in fixed.graphs:
            log.info("recording a block behind %d frames", self.frames)
            fixed.graphs[key] = self._record(sampler, draw, pending)
        recorded = fixed.graphs[key]
        for step in recorded.steps:
            fixed.place(("noise", step), draw(step) if step else start)
        if pending is not None:
            self._commit(pending)
        recorded.replay()
        return recorded.result.clone()

    def _record(self, sampler: Sampler, draw: Draw, pending: Tensor | None) -> RecordedBlock:
        """Record the block to come; afterwards the shot is as it was."""
        fixed, drawn = self.fixed, dict[int, Tensor]()
        window, tokens = list(self._window), self.shot_cache.tokens
        placed = None if pending is None else fixed.place("pending", pending)

        def fixed_draw(step: int) -> Tensor:
            if step not in drawn:
                drawn[step] = fixed.place(("noise", step), draw(step))
            return drawn[step]

        def begin(clean: Tensor | None) -> None:
            self._pending, self._window, self.shot_cache.tokens = clean, list(window), tokens

        def work() -> Tensor:
            begin(placed)
            return sampler(self.flow, fixed_draw, NEVER)

        result, replay = self.static_caches.recorder.record(work)
        begin(pending)
        fixed.kept.append(self.model.known_times.tensors())
        return RecordedBlock(result, replay, tuple(drawn))


class GraphedSampler:
    """``sampler``, known by ``name``, for shots whose blocks are replayed; others are sampled as ever."""

    def __init__(self, sampler: Sampler, name: Hashable) -> None:
        self._sampler, self._name = sampler, name

    def __call__(self, flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER) -> Tensor:
        shot = flow.__self__ if isinstance(flow, MethodType) else None
        if isinstance(shot, GraphedShot):
            return shot.block(self._sampler, self._name, draw)
        return self._sampler(flow, draw, gradient)
