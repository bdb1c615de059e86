"""Tensors where they lie in weight files: names, types and shapes at once, numbers only when asked for.

safetensors files (one, or shards with an index) and torch checkpoints are read alike. Nothing is ever unpickled but
tensors and plain containers; a checkpoint that holds anything else is refused, and what it would have run is not run.
"""

from __future__ import annotations

import json
import mmap
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from shotstream.core.errors import WeightsError
from shotstream.tools.safetensors_header import read_header

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin")
_WINDOW = 32 << 20  # bytes mapped at a time


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file. ``at``: the byte of its first number; ``stride``: None where its numbers lie in a row."""

    path: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    at: int
    stride: tuple[int, ...] | None = None

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def chunks(self) -> Iterator[memoryview]:
        """Its bytes in order, a window at a time: a tensor larger than memory passes through."""
        if self.stride is not None:
            yield bytes_of(self.read())
            return
        for start in range(0, self.nbytes, _WINDOW):
            yield _mapped(self.path, self.at + start, min(_WINDOW, self.nbytes - start))

    def read(self) -> Tensor:
        """The tensor, memory-mapped; in rows of its own if the file has it otherwise."""
        if not prod(self.shape):
            return torch.empty(self.shape, dtype=self.dtype)
        if self.stride is None:
            return torch.frombuffer(_mapped(self.path, self.at, self.nbytes), dtype=self.dtype).view(self.shape)
        reach = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        flat = torch.frombuffer(_mapped(self.path, self.at, reach * self.dtype.itemsize), dtype=self.dtype)
        return flat.as_strided(self.shape, self.stride).contiguous()


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of ``tensor``, row by row."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """All tensors of ``path``: a safetensors file, or the index (``.safetensors.index.json``) of a set of shards.

    Raises :class:`WeightsError`.
    """
    if path.suffix != ".json":
        return _one_safetensors(path)
    found: dict[str, StoredTensor] = {}
    for shard in _shards(path):
        found |= _one_safetensors(path.parent / shard)
    return found


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``torch.save`` wrote to ``path``: a dict, nested or not, in which a :class:`StoredTensor` stands for every
    tensor. Raises :class:`WeightsError` for anything but tensors, numbers, text and containers of these."""
    try:
        _refuse_packed(path)
        with FakeTensorMode():
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; name one that is there") from fault
    except pickle.UnpicklingError as fault:
        raise WeightsError(
            f"{path}: holds more than tensors, and reading that could run a stranger's code; refused. "
            "Ask for a file of tensors alone, best as safetensors"
        ) from fault
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, KeyError, AttributeError) as fault:
        said = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise WeightsError(f"{path}: not a readable checkpoint ({said}); fetch it again") from fault
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path}: holds {type(found).__name__}, not tensors by name; give another file")
    size = path.stat().st_size
    return {str(name): _stored(value, path, size) for name, value in found.items()}


def _one_safetensors(path: Path) -> dict[str, StoredTensor]:
    header = read_header(path)
    found = {}
    try:
        for name, entry in header.entries.items():
            start, stop = entry["data_offsets"]
            tensor = StoredTensor(path, DTYPES[entry["dtype"]], tuple(entry["shape"]), header.data + start)
            if min((start, *tensor.shape)) < 0 or stop - start != tensor.nbytes or header.data + stop > header.size:
                raise ValueError(f"{name} lies outside the file")
            found[name] = tensor
    except (KeyError, TypeError, ValueError) as fault:
        raise WeightsError(f"{path}: not a readable weight file ({fault}); fetch it again") from fault
    return found


def _shards(index: Path) -> list[str]:
    """Names of the files an index names: files beside it, nowhere else."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise ValueError("it names files outside its folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise WeightsError(f"{index}: not a readable index of weight files ({fault}); fetch it again") from fault
    return names


def _refuse_packed(path: Path) -> None:
    """Checkpoints are zip files whose parts lie in them as they are; others cannot be read where they lie."""
    if not zipfile.is_zipfile(path):
        with path.open("rb"):
            raise ValueError("not the zip format that torch has written since 1.6")
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("its parts are compressed")


def _stored(value: Any, path: Path, size: int) -> Any:
    """``value`` with every tensor replaced by where it lies."""
    if isinstance(value, Mapping):
        return {str(name): _stored(inner, path, size) for name, inner in value.items()}
    if not isinstance(value, Tensor):
        return value
    if value.layout != torch.strided:
        raise WeightsError(f"{path}: holds a tensor that is not dense; give plain weights")
    storage = value.untyped_storage()
    beginning = storage._checkpoint_offset
    if beginning is None or beginning + storage.nbytes() > size:
        raise WeightsError(f"{path}: a tensor lies outside the file; fetch it again")
    return StoredTensor(
        path,
        value.dtype,
        tuple(value.shape),
        beginning + int(value.storage_offset()) * value.dtype.itemsize,
        None if value.is_contiguous() else tuple(value.stride()),
    )


def _mapped(path: Path, start: int, length: int) -> memoryview:
    """``length`` bytes of ``path`` from ``start`` on: a private map, let go with the last view of it."""
    skip = start % mmap.ALLOCATIONGRANULARITY
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), length + skip, offset=start - skip, access=mmap.ACCESS_COPY)
    return memoryview(mapped)[skip:]
