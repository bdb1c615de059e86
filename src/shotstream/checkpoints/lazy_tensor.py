"""Tensors whose type and shape are known at once, and whose values are read or computed on demand."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

_WINDOW = 32 << 20  # bytes mapped at a time


@dataclass(frozen=True, slots=True)
class LazyTensor:
    """``read``: the tensor. ``chunks``: its bytes in order, a part at a time, so that one larger than memory can be
    written."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    chunks: Callable[[], Iterable[memoryview]]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def computed(make: Callable[[], Tensor], dtype: torch.dtype, shape: tuple[int, ...]) -> LazyTensor:
    """A tensor that ``make`` computes when it is asked for, in ``dtype``."""

    def read() -> Tensor:
        return make().to(dtype)

    return LazyTensor(dtype, tuple(shape), read, lambda: (bytes_of(read()),))


def held(tensor: Tensor) -> LazyTensor:
    """A tensor that is in memory already."""
    return computed(lambda: tensor, tensor.dtype, tuple(tensor.shape))


def narrowed(tensor: LazyTensor, dtype: torch.dtype) -> LazyTensor:
    """``tensor`` in ``dtype``; unchanged where it is that already."""
    return tensor if tensor.dtype == dtype else computed(tensor.read, dtype, tensor.shape)


def in_file(
    path: Path, dtype: torch.dtype, shape: tuple[int, ...], at: int, stride: tuple[int, ...] | None = None
) -> LazyTensor:
    """A tensor of the file ``path``, memory-mapped. at: the byte of its first number. stride: None where its numbers
    lie in a row; they do so in what is read."""

    def read() -> Tensor:
        if not prod(shape):
            return torch.empty(shape, dtype=dtype)
        if stride is None:
            return torch.frombuffer(_mapped(path, at, nbytes), dtype=dtype).view(shape)
        reach = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        flat = torch.frombuffer(_mapped(path, at, reach * dtype.itemsize), dtype=dtype)
        return flat.as_strided(shape, stride).contiguous()

    def chunks() -> Iterator[memoryview]:
        if stride is not None:
            yield bytes_of(read())
            return
        for start in range(0, nbytes, _WINDOW):
            yield _mapped(path, at + start, min(_WINDOW, nbytes - start))

    nbytes = prod(shape) * dtype.itemsize
    return LazyTensor(dtype, shape, read, chunks)


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of ``tensor``, row by row."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _mapped(path: Path, start: int, length: int) -> memoryview:
    """``length`` bytes of ``path`` from ``start`` on: a private map, let go with the last view of it."""
    skip = start % mmap.ALLOCATIONGRANULARITY
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), length + skip, offset=start - skip, access=mmap.ACCESS_COPY)
    return memoryview(mapped)[skip:]
