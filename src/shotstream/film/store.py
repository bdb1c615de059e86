"""Where made takes live: one footage file each, in a folder, not in memory. A film of any length stays small in RAM."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import explained
from shotstream.film.footage import check_footage, checksum, read_footage, write_footage
from shotstream.film.record import FilmRecord, ShotRecord, TakeRecord


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

    def file(self, footage: int) -> Path:
        """The file of footage number ``footage``."""
        return self.folder / f"{footage:05d}.mp4"

    def path(self, take: TakeRecord) -> Path:
        """The footage file of ``take``; it exists once :meth:`add` has returned."""
        return self.file(take.footage)

    def shape(self, take: TakeRecord) -> tuple[int, int, int]:
        """(frames, height, width) of ``take``."""
        return (take.frames, self.height, self.width)

    def add(self, id: int, blocks: Sequence[np.ndarray]) -> str:
        """Keep blocks of uint8 [t, height, width, 3] as the footage of take ``id``; returns the file's checksum.

        Raises :class:`StorageError`.
        """
        for frames in blocks:
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (self.height, self.width, 3):
                raise ValueError(f"take {id}: a block is {frames.dtype} {frames.shape}, not {self.height}x{self.width}")
        write_footage(self.file(id), blocks, self.fps)
        with explained(self.file(id)):
            return checksum(self.file(id))

    def frames(self, take: TakeRecord, indices: Iterable[int] | None = None) -> np.ndarray:
        """Frames ``indices`` (None: all) of ``take``: uint8 [n, height, width, 3]."""
        return read_footage(self.path(take), self.shape(take), indices)

    def summed(self, record: FilmRecord) -> FilmRecord:
        """``record`` with checksums where it has none, as older versions wrote it; footage that is not there gets none.

        Raises :class:`StorageError` if the disk refuses.
        """

        def known(take: TakeRecord) -> TakeRecord:
            if not take.made or take.crc32:
                return take
            try:
                check_footage(self.path(take), self.shape(take))
            except InputError:
                return take
            with explained(self.path(take)):
                return take.model_copy(update={"crc32": checksum(self.path(take))})

        def known_all(shots: tuple[ShotRecord, ...]) -> tuple[ShotRecord, ...]:
            return tuple(shot.model_copy(update={"takes": tuple(known(take) for take in shot.takes)}) for shot in shots)

        return record.everywhere(known_all)

    def keep_only(self, footage: Collection[int]) -> int:
        """Remove every other footage, and what no film knows; returns the bytes that are free now.

        Raises :class:`StorageError`.
        """
        kept = {self.file(number).name for number in footage}
        freed = 0
        with explained(self.folder):
            for file in self.folder.iterdir():
                if file.name not in kept and file.is_file():
                    freed += file.stat().st_size
                    file.unlink()
        return freed

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
