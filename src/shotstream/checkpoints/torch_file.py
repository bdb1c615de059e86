"""Reads checkpoints of ``torch.save`` without unpickling: tensors and plain containers only, all else is refused."""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from shotstream.checkpoints.lazy_tensor import LazyTensor, in_file
from shotstream.checkpoints.safetensors_file import refuse_lfs_pointer, short, what_it_is
from shotstream.core.errors import WeightsError

# What torch raises for a file that is damaged, or made to look like a checkpoint.
DAMAGED = (
    *(OSError, RuntimeError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError),
    *(AssertionError, NotImplementedError, ImportError, MemoryError, struct.error, zipfile.BadZipFile),
)
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin")
_HARMLESS: tuple[type, ...] = (
    argparse.Namespace,
)  # holds values and runs nothing: the settings that trainers keep beside weights


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``torch.save`` wrote to ``path``: a dict, nested or not, in which a :class:`LazyTensor` stands for every
    tensor. Raises :class:`WeightsError` for anything but tensors, numbers, text and containers of these."""
    try:
        refuse_lfs_pointer(path)
        _refuse_packed(path)
        with FakeTensorMode(), torch.serialization.safe_globals([*_HARMLESS]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; name one that is there") from fault
    except pickle.UnpicklingError as fault:
        kind = re.search(r"GLOBAL ([\w.]+)", str(fault))
        raise WeightsError(
            f"{path}: holds more than tensors{f' ({kind[1]})' if kind else ''}, and reading that could run a "
            "stranger's code; refused. Ask for a file of tensors alone, best as safetensors"
        ) from fault
    except DAMAGED as fault:
        raise WeightsError(f"{path}: not a readable checkpoint ({short(fault)}); fetch it again") from fault
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path}: holds {type(found).__name__}, not tensors by name; give another file")
    size = path.stat().st_size
    return {str(name): _lazy(value, path, size) for name, value in found.items()}


def tensors_of(found: Mapping[str, Any]) -> dict[str, LazyTensor]:
    """The tensors of one level of a checkpoint."""
    return {name: value for name, value in found.items() if isinstance(value, LazyTensor)}


def _refuse_packed(path: Path) -> None:
    """Checkpoints are zip files whose parts lie in them as they are; others cannot be read where they lie."""
    if not zipfile.is_zipfile(path):
        with path.open("rb"):
            older = "not the zip format that torch has written since 1.6: save it again with a newer torch"
            named = "it is a safetensors file: name it .safetensors" if _is_safetensors(path) else ""
            raise ValueError(what_it_is(path) or named or older)
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("its parts are compressed")


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _lazy(value: Any, path: Path, size: int) -> Any:
    """``value`` with every tensor replaced by where it lies."""
    if isinstance(value, Mapping):
        return {str(name): _lazy(inner, path, size) for name, inner in value.items()}
    if not isinstance(value, Tensor):
        return value
    if value.layout != torch.strided:
        raise WeightsError(f"{path}: holds a tensor that is not dense; give plain weights")
    storage = value.untyped_storage()
    beginning = storage._checkpoint_offset
    if beginning is None or beginning + storage.nbytes() > size:
        raise WeightsError(f"{path}: a tensor lies outside the file; fetch it again")
    at = beginning + int(value.storage_offset()) * value.dtype.itemsize
    return in_file(path, value.dtype, tuple(value.shape), at, None if value.is_contiguous() else tuple(value.stride()))
