"""Training state on disk: whole or not at all, the last two kept, a damaged one passed over with a warning.

One process writes a file, ``state-00000500.pt``; several write a folder, ``state-00000500`` (``shared_checkpoints``).
"""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from shotstream.core.files import whole_file

log = logging.getLogger(__name__)
KEPT = 2


def state_path(folder: Path, update: int) -> Path:
    """Where the checkpoint of ``update`` is, without an ending."""
    return folder / f"state-{update:08d}"


def save_state(folder: Path, update: int, state: dict[str, Any]) -> Path:
    """Write ``state`` as the checkpoint of ``update`` and drop all but the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = state_path(folder, update).with_suffix(".pt")
    with whole_file(path) as temporary:
        torch.save(state, temporary)
    keep_last(folder)
    return path


def read_state(path: Path) -> dict[str, Any] | None:
    """What the file ``path`` holds; None, with a warning, if it is damaged. Nothing is unpickled (``weights_only``)."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as fault:
        passed_over(path, str(fault).splitlines()[0])
        return None
    return state


def passed_over(path: Path, why: str) -> None:
    """Say that a checkpoint is not used."""
    log.warning("%s: damaged (%s); trying the checkpoint before it", path, why)


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints of ``folder``, files and folders."""
    return sorted(_found(folder), key=lambda path: path.stem, reverse=True)


def keep_last(folder: Path) -> None:
    """Drop all but the last two checkpoints."""
    for old in newest_first(folder)[KEPT:]:
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()


def _found(folder: Path) -> Iterator[Path]:
    for path in folder.glob("state-*"):
        if path.is_dir() or path.suffix == ".pt":
            yield path
