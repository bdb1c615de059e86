"""Where made takes live: one footage file each, in a folder, not in memory. A film of any length stays small in RAM."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from shotstream.core.errors import StorageError
from shotstream.film.footage import read_footage, write_footage
from shotstream.film.record import FilmRecord, TakeRecord


class TakeStore:
    """The footage of one open film, in ``folder``, which stays; or in a temporary one that goes when the film does."""

    def __init__(self, height: int, width: int, fps: int, folder: Path | None = None) -> None:
        self.height, self.width, self.fps = height, width, fps
        self.token = object()  # no other store ever has it, even if one is opened on this folder again
        self.folder = _temporary_folder() if folder is None else folder
        self._remove: Callable[[], object] = lambda: None
        if folder is None:
            self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @classmethod
    def of(cls, record: FilmRecord, folder: Path | None = None) -> TakeStore:
        """A store for takes of ``record``'s size."""
        return cls(record.height, record.width, record.fps, folder)

    def path(self, take: TakeRecord) -> Path:
        """The footage file of ``take``; it exists once :meth:`add` has returned."""
        return self.folder / f"{take.id:05d}.mp4"

    def shape(self, take: TakeRecord) -> tuple[int, int, int]:
        """(frames, height, width) of ``take``."""
        return (take.frames, self.height, self.width)

    def add(self, take: TakeRecord, frames: np.ndarray) -> None:
        """Keep uint8 [T, height, width, 3] as the footage of ``take``. Raises :class:`StorageError`."""
        if frames.dtype != np.uint8 or frames.shape != (*self.shape(take), 3):
            raise ValueError(f"take {take.id} is {self.shape(take)}; its frames are {frames.dtype} {frames.shape}")
        write_footage(self.path(take), frames, self.fps)

    def frames(self, take: TakeRecord, indices: Iterable[int] | None = None) -> np.ndarray:
        """Frames ``indices`` (None: all) of ``take``: uint8 [n, height, width, 3]."""
        return read_footage(self.path(take), self.shape(take), indices)

    def close(self) -> None:
        """Remove the folder and everything in it, if it is a temporary one."""
        self._remove()


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="shotstream-"))
    except OSError as fault:
        raise StorageError(
            f"{tempfile.gettempdir()}: no room for a film's takes ({fault.strerror}); set TMPDIR"
        ) from fault
