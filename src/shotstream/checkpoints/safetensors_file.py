"""Reads and writes safetensors files tensor by tensor, so that a file need not fit into memory.

What we write carries a checksum in its header, and what carries one is checked before a number of it is used. Type and
shape of a tensor are known at once, and its values are read or computed on demand.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shotstream.core.errors import WeightsError
from shotstream.core.files import whole_file

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
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_ALIGNMENT = 8  # bytes
_MAX_HEADER = 100_000_000  # bytes; the format's own limit
_CHECKSUM, _UNKNOWN = "checksum", "sha256:" + "0" * 64  # the header's entry, and what stands there while it is made
_CHECKED = 1 << 30  # bytes of a file up to which its checksum is worth the time
_LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Header:
    """``entries``: name -> dtype, shape, data_offsets, as the file has them; ``data``: where the offsets count from."""

    entries: dict[str, dict[str, Any]]
    metadata: dict[str, str]
    data: int
    size: int  # bytes of the file


def read_header(path: Path) -> Header:
    """The header of ``path``. Raises :class:`WeightsError` if it is no safetensors file."""
    try:
        refuse_lfs_pointer(path)
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _MAX_HEADER:
                raise ValueError("it has no safetensors header")
            entries = _table(json.loads(file.read(length), object_pairs_hook=_once))
            own = entries.pop("__metadata__", None)
            metadata = {} if own is None else _table(own)
            if not all(isinstance(value, str) for value in metadata.values()):
                raise ValueError("what it says of itself is not text")
            return Header(
                {name: _table(one) for name, one in entries.items()}, metadata, 8 + length, path.stat().st_size
            )
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; name one that is there") from fault
    except IsADirectoryError as fault:
        raise WeightsError(f"{path}: is a folder; name a file in it") from fault
    except (OSError, ValueError, RecursionError) as fault:
        said = what_it_is(path) if path.is_file() else ""
        raise WeightsError(
            f"{path}: not a readable safetensors file ({said or short(fault)}); fetch it again"
        ) from fault


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON whose every key is there once: of two, each reader would believe another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header names something twice")
    return found


def _table(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"its header has {type(found).__name__} where names and values belong")
    return found


def read_safetensors(path: Path, *, check: bool = True) -> dict[str, LazyTensor]:
    """All tensors of ``path``.

    check: where a header states a checksum, hold the file against it, up to a gigabyte (more would be felt at every
    start); False is for those who ask for names and shapes alone. Raises :class:`WeightsError`.
    """
    header = read_header(path)
    found = {}
    try:
        for name, entry in header.entries.items():
            if entry["dtype"] not in DTYPES:
                raise ValueError(f"{name} is in the number format {entry['dtype']}, which is not supported")
            start, stop = entry["data_offsets"]
            tensor = in_file(path, DTYPES[entry["dtype"]], tuple(entry["shape"]), header.data + start)
            if min((start, *tensor.shape)) < 0 or stop - start != tensor.nbytes or header.data + stop > header.size:
                raise ValueError(f"{name} lies outside the file")
            found[name] = tensor
        _refuse_overlap(header)
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise WeightsError(f"{path}: not a readable safetensors file ({short(fault)}); fetch it again") from fault
    if check and header.size <= _CHECKED:
        _check_sum(path, header)
    return found


def write_safetensors(path: Path, tensors: Mapping[str, LazyTensor | Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` to ``path``, whole or not at all.

    Raises :class:`WeightsError` for a tensor with NaN or infinite values, :class:`StorageError` when the disk refuses.
    """
    lazy = {name: held(one) if isinstance(one, Tensor) else one for name, one in tensors.items()}
    # Wide numbers first, as the format's own library orders them: so all stay aligned.
    ordered = sorted(lazy.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": {**metadata, _CHECKSUM: _UNKNOWN}}
    end = 0
    for name, tensor in ordered:
        offsets = [end, end + tensor.nbytes]
        header[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        end = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    digest = hashlib.sha256(text)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in ordered:
            written = 0
            for chunk in tensor.chunks():
                _refuse_infinite(path, name, tensor.dtype, chunk)
                digest.update(chunk)
                written += file.write(chunk)
            if written != tensor.nbytes:
                raise ValueError(f"{name}: {written} bytes came instead of {tensor.nbytes}")
        file.seek(8 + text.index(_UNKNOWN.encode()))
        file.write(f"sha256:{digest.hexdigest()}".encode())


def refuse_lfs_pointer(path: Path) -> None:
    """Raise :class:`WeightsError` if ``path`` is what git leaves in the place of a large file that was not fetched."""
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise WeightsError(f"{path}: a Git LFS pointer, not the file itself; fetch the real file (git lfs pull)")


def what_it_is(path: Path) -> str:
    """What ``path`` is instead of weights, by how it begins; empty if nothing is known of it."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty"
    known = {b"PK": "it is a zip file, as torch.save writes: name it .pt", b"GGUF": "it is a GGUF file"}
    known |= {b"<": "it is a page of a web site, which a download that failed may leave"}
    return next((what for sign, what in known.items() if start.startswith(sign)), "")


def short(fault: BaseException) -> str:
    """What ``fault`` says, in a few words on one line."""
    said = " ".join(str(fault).split()) or type(fault).__name__
    return said if len(said) <= 160 else said[:157] + "..."


def _refuse_infinite(path: Path, name: str, dtype: torch.dtype, chunk: memoryview) -> None:
    """Raise :class:`WeightsError` if some of the numbers in ``chunk`` are none: such weights make no pictures."""
    if not dtype.is_floating_point or not chunk.nbytes:
        return
    numbers = torch.frombuffer(chunk, dtype=dtype)
    if not torch.isfinite(numbers.float() if dtype.itemsize == 1 else numbers).all():
        raise WeightsError(
            f"{path}: not written, {name} has NaN or infinite values in {str(dtype).removeprefix('torch.')}; fetch the "
            "weights it is made of again, or choose a wider number format"
        )


def _refuse_overlap(header: Header) -> None:
    """Raise ValueError if two tensors share bytes: what one of them says, the other would change."""
    end, last = 0, ""
    for start, stop, name in sorted((*entry["data_offsets"], name) for name, entry in header.entries.items()):
        if start < end and stop > start:
            raise ValueError(f"{last} and {name} lie in the same place")
        end, last = max(end, stop), name


def _check_sum(path: Path, header: Header) -> None:
    """Raise :class:`WeightsError` if the file is not what its header's checksum was made of."""
    stated = header.metadata.get(_CHECKSUM, "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", stated):
        return
    with path.open("rb") as file:
        file.seek(8)
        text = file.read(header.data - 8).replace(stated.encode(), _UNKNOWN.encode(), 1)
        digest = hashlib.sha256(text)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if stated != f"sha256:{digest.hexdigest()}":
        raise WeightsError(f"{path}: is damaged (its checksum does not fit its contents); fetch it again")
