"""Training state on disk: whole or not at all, the last two kept, a damaged one passed over with a warning."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from shotstream.core.files import whole_file

log = logging.getLogger(__name__)
KEPT = 2


def save_state(folder: Path, update: int, state: dict[str, Any]) -> Path:
    """Write ``state`` as the checkpoint of ``update`` and drop all but the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"state-{update:08d}.pt"
    with whole_file(path) as temporary:
        torch.save(state, temporary)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def load_state(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest readable checkpoint of ``folder``, or None. Nothing is unpickled (``weights_only``)."""
    for path in _newest_first(folder):
        try:
            return path, torch.load(path, weights_only=True, map_location="cpu")
        except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as fault:
            log.warning("%s: damaged (%s); trying the checkpoint before it", path, str(fault).splitlines()[0])
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*.pt"), reverse=True)
