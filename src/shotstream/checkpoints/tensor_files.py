"""Reads tensors by name from safetensors files, checkpoints of ``torch.save``, and indices of shards of either."""

from __future__ import annotations

import json
import re
from pathlib import Path

from shotstream.checkpoints.lazy_tensor import LazyTensor
from shotstream.checkpoints.safetensors_file import read_safetensors, short
from shotstream.checkpoints.torch_file import CHECKPOINTS, read_checkpoint, tensors_of
from shotstream.checkpoints.weight_check import said
from shotstream.core.errors import WeightsError

# Names of indices; the libraries of Hugging Face put a variant (fp16) into one of three places.
_INDEX = re.compile(r".+\.(safetensors|bin|pt|pth)(\.\w+)?\.index(\.\w+)?\.json")


def read_tensors(path: Path, *, check: bool = True) -> dict[str, LazyTensor]:
    """All tensors of ``path``, of an index those of every file it names. check: as for :func:`read_safetensors`.

    Of a checkpoint, those of its outermost level. Raises :class:`WeightsError`.
    """
    if path.suffix in CHECKPOINTS:
        return tensors_of(read_checkpoint(path))
    if path.suffix != ".json":
        return read_safetensors(path, check=check)
    names, files = _listed(path)
    found: dict[str, LazyTensor] = {}
    for file in files:
        part = read_tensors(path.parent / file, check=check)
        twice = [name for name in part if name in found]
        if twice:
            raise WeightsError(f"{path}: {said('more than one of its files holds', twice)}; fetch them again")
        found |= part
    lost = [name for name in names if name not in found]
    if lost:
        raise WeightsError(f"{path}: none of its files holds {said('', lost)}; fetch them again")
    return found


def is_index(path: Path) -> bool:
    """Is ``path`` called as an index of shards is?"""
    return _INDEX.fullmatch(path.name) is not None


def shards_of(index: Path) -> list[str]:
    """Names of the files that ``index`` names; all are there. Raises :class:`WeightsError`."""
    return _listed(index)[1]


def _listed(path: Path) -> tuple[list[str], list[str]]:
    """Names of the tensors that an index lists, and of the files that hold them: files beside it, nowhere else."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(listed.values()))
        if not files or any(not isinstance(name, str) or Path(name).name != name for name in files):
            raise ValueError("it names no files, or some outside its folder")
        if any(Path(name).suffix not in (".safetensors", *CHECKPOINTS) for name in files):
            raise ValueError("it names files that are no weights")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise WeightsError(f"{path}: not a readable index of weight files ({short(fault)}); fetch it again") from fault
    lost = [name for name in files if not (path.parent / name).is_file()]
    if lost:
        raise WeightsError(f"{path}: {len(lost)} of its {len(files)} files are not beside it ({lost[0]}); fetch them")
    return list(listed), files
