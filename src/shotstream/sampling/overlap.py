"""Side by side: work in a second thread or on a second CUDA stream, and as many threads as leave others their cores.

The threads of a matmul wait for the slowest of them, and spin while they wait. With a core for each, that is the
fastest way. Beside a program that keeps a core busy they wait for a thread that is not running: what one thread alone
makes in 0.2 s then takes many seconds (docs/performance.md). The number of threads does not change a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar, Protocol, TypeVar

import psutil
import torch
from torch import Tensor

Made = tuple[int, Tensor]  # a block's number and its latents


class Streams(Protocol):
    """What is asked of a device with streams."""

    def mark(self) -> Any:
        """An event behind all that the calling thread has queued so far."""
        ...

    def aside(self, event: Any) -> AbstractContextManager[Any]:
        """Within, work is queued on the side stream, behind ``event``."""
        ...

    def used_aside(self, tensor: Tensor) -> None:
        """The side stream reads ``tensor``: its memory must not be given away before that is done."""
        ...


class CudaStreams:
    """A side stream on a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def mark(self) -> Any:
        return torch.cuda.current_stream(self._device).record_event()

    def aside(self, event: Any) -> AbstractContextManager[Any]:
        self._stream.wait_event(event)
        return torch.cuda.stream(self._stream)

    def used_aside(self, tensor: Tensor) -> None:
        tensor.record_stream(self._stream)


def marked(streams: Streams, blocks: Iterable[Made]) -> Iterator[tuple[Any, Made]]:
    """Each of ``blocks`` with the event behind its making; for the thread that makes them."""
    for made in blocks:
        yield streams.mark(), made


def decoded_aside(streams: Streams, decode: Callable[[Made], Done]) -> Callable[[tuple[Any, Made]], Done]:
    """``decode`` on the side stream, once the block is made; for the thread that decodes."""

    def work(item: tuple[Any, Made]) -> Done:
        event, made = item
        with streams.aside(event):
            streams.used_aside(made[1])
            return decode(made)

    return work


INTERVAL = 0.25  # seconds between two readings: the system counts in hundredths
TOLERATED = 0.25  # of a core, used by others, is worth no thread
CALM = 4  # readings with room for more threads, before there are more


@dataclass(frozen=True, slots=True)
class Usage:
    """Core seconds used so far: by this process, and by all programs together on the cores this one may use."""

    own: float
    all: float
    cores: int


def measure_usage() -> Usage:
    """Read them from the system."""
    process = psutil.Process()
    own = process.cpu_times()
    each = psutil.cpu_times(percpu=True)
    allowed = process.cpu_affinity() if hasattr(process, "cpu_affinity") else range(len(each))
    # What a virtual machine's guests use is part of user's and nice's; iowait is a kind of idle.
    idle = ("idle", "iowait", "guest", "guest_nice")
    busy = sum(
        sum(each[core]) - sum(getattr(each[core], name) for name in idle if hasattr(each[core], name))
        for core in allowed
    )
    return Usage(own.user + own.system, busy, len(allowed))


class FreeCores:
    """``fit`` sets torch's number of threads, at most the number torch had when this was made, or before another one
    of these lowered it."""

    _lowered: ClassVar[tuple[int, int] | None] = None  # the number last set by any of these, and the most of that one

    def __init__(self, measure: Callable[[], Usage] = measure_usage, clock: Callable[[], float] = monotonic) -> None:
        self.count = torch.get_num_threads()
        lowered, most = FreeCores._lowered or (0, 0)
        self.most = most if self.count == lowered else self.count
        self._measure, self._clock = measure, clock
        self._read_at, self._last = clock(), measure()
        self._calm = 0

    def fit(self) -> None:
        """Call it before a pass, on the thread that computes it: the number counts for that thread alone."""
        elapsed = self._clock() - self._read_at
        if self.most > 1 and elapsed >= INTERVAL:
            self._read_at += elapsed
            usage = self._measure()
            others = (usage.all - self._last.all - (usage.own - self._last.own)) / elapsed
            self._last = usage
            self._choose(max(1, min(self.most, math.floor(usage.cores - max(0.0, others) + TOLERATED))))
        if torch.get_num_threads() != self.count:
            torch.set_num_threads(self.count)
            FreeCores._lowered = (self.count, self.most)

    def before(self, flow: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
        """``flow``, with the number of threads fitted before every pass."""

        def fitted(x: Tensor, timestep: float) -> Tensor:
            self.fit()
            return flow(x, timestep)

        return fitted

    def _choose(self, room: int) -> None:
        """Fewer at once; more only when there has been room for them for a while."""
        self._calm = self._calm + 1 if room > self.count else 0
        if room < self.count or self._calm >= CALM:
            self.count, self._calm = room, 0


Item = TypeVar("Item")
Done = TypeVar("Done")


def one_behind(work: Callable[[Item], Done], items: Iterable[Item], *, first_at_once: bool = False) -> Iterator[Done]:
    """Yield ``work(item)`` for every item, in order. ``work`` runs in a second thread while the next item is produced.

    So ``items`` is one item ahead of what is yielded. first_at_once: yield the first result before the second item is
    produced, because somebody is waiting for it. What ``work`` raises is raised here, at most one item later. Closing
    the iterator waits for the work in progress.
    """
    pending: Future[Done] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="one-behind") as thread:
        for index, item in enumerate(items):
            following = thread.submit(work, item)
            if pending is not None:
                yield pending.result()
            pending = following
            if first_at_once and index == 0:
                yield pending.result()
                pending = None
        if pending is not None:
            yield pending.result()
