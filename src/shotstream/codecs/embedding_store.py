"""Embeddings of prompts remembered on disk: a large text encoder reads every prompt once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shotstream.core.files import make_folder, whole_file

_NAME = "embedding"


class EmbeddingStore:
    """A folder of one file per prompt; the least recently read go when there are more than ``limit``.

    encoder: what tells one encoder's embeddings from another's. Prompts themselves are not stored, only their digest.
    """

    def __init__(self, folder: Path, encoder: str, limit: int = 2000) -> None:
        self.folder = folder / encoder
        self.limit = limit

    def get(self, text: str) -> Tensor | None:
        """The embedding [tokens, width] of ``text``, or None if it is not there, or its file is damaged."""
        path = self._path(text)
        try:
            found = load_file(path)[_NAME]
            os.utime(path)
        except (SafetensorError, OSError, KeyError):  # as good as not there: it is made again
            return None
        return found

    def put(self, text: str, embedding: Tensor) -> None:
        """Remember ``embedding`` [tokens, width]. Raises :class:`StorageError`."""
        make_folder(self.folder)
        with whole_file(self._path(text)) as temporary:
            save_file({_NAME: embedding.detach().cpu().contiguous()}, temporary)
        self._forget_oldest()

    def _path(self, text: str) -> Path:
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"

    def _forget_oldest(self) -> None:
        kept = sorted(self.folder.glob("*.safetensors"), key=_last_read)
        for path in kept[: max(0, len(kept) - self.limit)]:
            path.unlink(missing_ok=True)


def _last_read(path: Path) -> float:
    """When ``path`` was last read; long ago if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def padded(embedding: Tensor, length: int) -> Tensor:
    """[tokens, width] -> [length, width], zeros behind the tokens."""
    rows = torch.zeros(length, embedding.shape[1], dtype=embedding.dtype)
    rows[: len(embedding)] = embedding
    return rows
