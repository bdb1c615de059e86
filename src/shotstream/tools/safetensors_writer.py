"""A safetensors file written tensor by tensor, whole or not at all: what is written need not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from shotstream.core.files import whole_file
from shotstream.core.packed import SCALE, rest_dtype, shares_bytes, stored
from shotstream.tools.stored_tensors import DTYPES, StoredTensor, bytes_of

_CODES = {dtype: code for code, dtype in DTYPES.items()}
_ALIGNMENT = 8  # bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A tensor to be written: what it is, and how to get it, or its bytes in order, when its turn comes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    chunks: Callable[[], Iterable[memoryview]]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def unchanged(stored: StoredTensor) -> Outgoing:
    """``stored`` as it is, to the bit."""
    return Outgoing(stored.dtype, stored.shape, stored.read, stored.chunks)


def computed(make: Callable[[], Tensor], dtype: torch.dtype, shape: tuple[int, ...]) -> Outgoing:
    """A tensor that is computed when its turn comes, in ``dtype``."""

    def read() -> Tensor:
        return make().to(dtype)

    return Outgoing(dtype, shape, read, lambda: (bytes_of(read()),))


def narrowed(tensor: Outgoing, dtype: torch.dtype) -> Outgoing:
    """``tensor`` in ``dtype``; unchanged where it is that already."""
    return tensor if tensor.dtype == dtype else computed(tensor.read, dtype, tensor.shape)


def packed(name: str, tensor: Outgoing, levels: int) -> dict[str, Outgoing]:
    """``tensor`` called ``name`` in bytes, and its scales (:mod:`shotstream.core.packed`)."""
    kind, shape = torch.int8, tensor.shape
    if shares_bytes(shape[0], levels):
        kind, shape = torch.uint8, (shape[0] // 2, *shape[1:])
    return {
        name: computed(lambda: stored(tensor.read(), levels)[0], kind, shape),
        name + SCALE: computed(lambda: stored(tensor.read(), levels)[1], rest_dtype(levels), tensor.shape[:1]),
    }


def write_safetensors(path: Path, tensors: Mapping[str, Outgoing], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` to ``path``. Raises :class:`StorageError` when the disk refuses."""
    # Wide numbers first, as the format's own library orders them: so all stay aligned.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in ordered:
        offsets = [end, end + tensor.nbytes]
        header[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        end = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in ordered:
            written = sum(file.write(chunk) for chunk in tensor.chunks())
            if written != tensor.nbytes:
                raise ValueError(f"{name}: {written} bytes came instead of {tensor.nbytes}")
