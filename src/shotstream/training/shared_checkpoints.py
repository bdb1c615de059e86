"""Checkpoints that several processes write together: a folder of safetensors by torch.distributed.checkpoint.

Every process writes its shards; any number of processes reads them back. The folder has another name until all of it
is on the disk, and lists its files with their sizes and checksums, so that it is whole, or damaged and said to be.
"""

from __future__ import annotations

import json
import shutil
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor

from shotstream.core.files import explained, sync, write_text
from shotstream.training.checkpoints import keep_last, passed_over, read_state, state_path
from shotstream.training.processes import Processes

CONTENTS = "contents.json"
_CHUNK = 1 << 22  # bytes


def save_together(
    folder: Path, update: int, tensors: Mapping[str, Tensor], rest: Mapping[str, Any], processes: Processes
) -> Path:
    """Write the checkpoint of ``update``: ``tensors`` are everyone's (or shards of them), ``rest`` is this process's.

    Raises :class:`StorageError`. All processes must see the same ``folder``.
    """
    path = state_path(folder, update)
    partial = folder / f".{path.name}.part"
    if processes.first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    processes.wait()
    with explained(partial):
        dcp.save(dict(tensors), storage_writer=dcp.HuggingFaceStorageWriter(str(partial), save_distributed=True))
        torch.save(dict(rest), partial / f"process-{processes.rank:05d}.pt")
    processes.wait()
    if processes.first:
        _publish(partial, path)
        keep_last(folder)
    processes.wait()
    return path


def load_together(path: Path, tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Fill ``tensors``, whole or sharded as they are, from the folder ``path``; returns the rest of all that saved."""
    alone = not torch.distributed.is_initialized()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process: that is meant
        dcp.load(dict(tensors), storage_reader=dcp.HuggingFaceStorageReader(str(path)), no_dist=alone)
    return [torch.load(file, weights_only=True, map_location="cpu") for file in sorted(path.glob("process-*.pt"))]


def is_whole(path: Path) -> bool:
    """Is the checkpoint ``path``, file or folder, what was written? Says so if it is not."""
    if path.is_file():
        return read_state(path) is not None
    try:
        contents = json.loads((path / CONTENTS).read_text())
    except (OSError, ValueError) as fault:
        passed_over(path, str(fault))
        return False
    for name, expected in contents.items():
        file = path / name
        if not file.is_file() or _described(file) != expected:
            passed_over(path, f"{name} is not what was written")
            return False
    return True


def _publish(partial: Path, path: Path) -> None:
    """Give a finished folder its name; one that is there already, from a run that went on from before it, goes."""
    with explained(path):
        files = sorted(partial.iterdir())
        write_text(partial / CONTENTS, json.dumps({file.name: _described(file) for file in files}, indent=1))
        for file in files:
            sync(file)
        sync(partial)
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
        sync(path.parent)


def _described(file: Path) -> dict[str, int]:
    crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return {"bytes": file.stat().st_size, "crc32": crc}
