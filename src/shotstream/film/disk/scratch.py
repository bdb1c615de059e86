"""Temporary folders that are removed when the program ends; after a crash, at the next start.

Whoever uses one holds a lock in it, which the system lets go of however a program ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from shotstream.core.errors import StorageError

PREFIX = "shotstream-scratch-"  # of no folder but these: what is left of them is removed
LOCK = ".lock"
JUST_MADE = 60.0  # seconds in which a folder may not have its lock yet


class ScratchFolder:
    """A new, empty folder at ``path``, in ``inside`` or where this system keeps temporary files; gone after ``close``,
    or with this object. Raises :class:`StorageError` if there is no room for one."""

    def __init__(self, inside: Path | None = None) -> None:
        _clean_once(Path(tempfile.gettempdir()) if inside is None else inside)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=inside))
            lock = FileLock(str(self.path / LOCK), timeout=0, thread_local=False)
            lock.acquire()
        except OSError as fault:
            where = inside or tempfile.gettempdir()
            raise StorageError(f"{where}: no room for temporary files ({fault.strerror}); set TMPDIR") from fault
        self._remove = weakref.finalize(self, _remove, self.path, lock)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *fault: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder and everything in it."""
        self._remove()


def clean_scratch(place: Path) -> int:
    """Remove the folders in ``place`` that programs which are no more have left; returns how many."""
    removed = 0
    with suppress(OSError):
        for folder in place.glob(f"{PREFIX}*"):
            removed += _is_left(folder) and _removed(folder)
    return removed


@cache
def _clean_once(place: Path) -> None:
    clean_scratch(place)


def _is_left(folder: Path) -> bool:
    """Is this one of ours, with nobody at it?"""
    with suppress(OSError):
        found = folder.lstat()
        mine = folder.is_dir() and not folder.is_symlink() and (os.name == "nt" or found.st_uid == os.getuid())
        return mine and ((folder / LOCK).exists() or time.time() - found.st_mtime > JUST_MADE)
    return False


def _removed(folder: Path) -> bool:
    lock = FileLock(str(folder / LOCK), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return False
    _remove(folder, lock)
    return True


def _remove(folder: Path, lock: FileLock) -> None:
    with suppress(OSError):  # the lock goes last: killed in the middle, what is left is known to be nobody's
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != LOCK:
                entry.unlink()
    if os.name == "nt":  # where an open file cannot be removed
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
