"""Speed-ups for a GPU, switched on by name. None changes a frame by more than rounding.

They ship off: no GPU has measured them yet. `shotstream gpu-check` does, each on and off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from time import perf_counter

from shotstream.core.errors import InputError
from shotstream.sampling.block_graphs import CudaRecorder
from shotstream.sampling.layer_runners import by_torch
from shotstream.sampling.overlap import CudaStreams
from shotstream.sampling.shot_generator import ShotGenerator

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GpuSpeedup:
    """``switch_on``: turns it on in a generator, from its next shot on. ``settling``: shots until all it does once is
    done, where captions have several lengths."""

    what: str
    switch_on: Callable[[ShotGenerator], None]
    settling: int = 1


GPU_SPEEDUPS = {
    "cuda-graphs": GpuSpeedup(
        "a block's passes recorded once per shape and replayed by one launch",
        lambda shots: shots.record_blocks(CudaRecorder(shots.model.device)),
    ),
    "noise-ahead": GpuSpeedup(
        "the next block's noise drawn in another thread, into pinned memory", ShotGenerator.draw_ahead
    ),
    "decode-stream": GpuSpeedup(
        "a block decoded on a second stream while the next is denoised",
        lambda shots: shots.decode_aside(CudaStreams(shots.model.device)),
    ),
    "compile": GpuSpeedup(
        "layers compiled by torch, once per shape of pass", lambda shots: shots.compile_passes(by_torch), settling=8
    ),
}
SEQUENCE_PARALLEL = "sequence-parallel"  # every pass shared by processes of one program; bench is one process
LEAVE_WEIGHTS = ("noise-ahead", "decode-stream")  # keep no copy of weights, nor what was computed from them
ONCE_PER_SHAPE = ("compile", "cuda-graphs")  # take seconds or minutes for the first pass of every shape


def check_speedups(names: Collection[str], device_type: str) -> None:
    """Raise :class:`InputError` for an unknown name, on a device without CUDA, and for two that were never together."""
    known = (*GPU_SPEEDUPS, SEQUENCE_PARALLEL)
    for name in names:
        if name not in known:
            raise InputError(f"no speed-up is called {name!r}; known: {', '.join(known)}")
        if device_type != "cuda":
            raise InputError(f"{name}: needs a CUDA device, and this is {device_type}; leave it out")

    if SEQUENCE_PARALLEL in names and any(name in names for name in ONCE_PER_SHAPE):
        raise InputError(f"{SEQUENCE_PARALLEL}: was never tried with {' or '.join(ONCE_PER_SHAPE)}; leave one out")


def switch_on(shots: ShotGenerator, names: Iterable[str]) -> ShotGenerator:
    """``shots``, with all of ``names`` turned on. Raises as :func:`check_speedups` does."""
    chosen = tuple(dict.fromkeys(names))
    check_speedups(chosen, shots.model.device.type)
    if "cuda-graphs" in chosen and shots.cache_place != "device":
        raise InputError("cuda-graphs: the caches do not fit on the device; take a smaller --size, or leave it out")
    for name in chosen:
        if name == SEQUENCE_PARALLEL:
            shots.share_passes()
        else:
            GPU_SPEEDUPS[name].switch_on(shots)
    return shots


def warmed_up(shots: ShotGenerator, names: Collection[str]) -> ShotGenerator:
    """``shots``, having done what the speed-ups ``names`` do in the first pass of every shape. The log says so."""
    slow = [name for name in ONCE_PER_SHAPE if name in names]
    if slow:
        began = perf_counter()
        log.info("warming up: %s; a minute or two", ", ".join(slow))
        shots.warm_up()
        log.info("warmed up in %.0f s", perf_counter() - began)
    return shots
