"""A second CUDA stream: a block is decoded on it while the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

Done = TypeVar("Done")
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
