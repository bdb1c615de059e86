"""Output paths of a film and its storyboard: checked before any work, and locked against other programs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shotstream.core.errors import InputError
from shotstream.core.files import locks_folder, ready_to_write
from shotstream.core.story import Story


def storyboard_path(film: Path) -> Path:
    """The storyboard's place: beside the film."""
    return film.with_suffix(".png")


def ready_for_film(film: Path, *, storyboard: bool, force: bool) -> None:
    """Refuse what could not be written later.

    Raises :class:`InputError` if ``film`` does not end in ``.mp4``, or if it or its storyboard exists and ``force``
    is false; :class:`StorageError` if the folder is missing or closed to us.
    """
    if film.suffix.lower() != ".mp4":
        raise InputError(f"{film}: a film's name ends in .mp4")
    ready_to_write(film, force=force)
    if storyboard:
        ready_to_write(storyboard_path(film), force=force)


@contextmanager
def only_writer(film: Path) -> Iterator[None]:
    """Nobody else on this machine makes ``film`` meanwhile. Raises :class:`InputError` if somebody does already."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(film))).hexdigest()[:32]
    lock = FileLock(locks_folder() / f"{name}.lock")
    try:
        locks_folder().mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as fault:
        raise InputError(f"{film}: another program is making this film; wait for it, or name another") from fault
    except OSError:  # no room for caches here: then nothing is kept there that could be disturbed
        yield
        return
    try:
        yield
    finally:
        lock.release()


def shots_left(film: Path, story: Story) -> int:
    """How many shots of ``story`` the film at ``film`` lacks, if it is the beginning of it that an interrupted render
    kept; 0 for any other file, and where there is none."""
    from shotstream.media.video import read_info

    try:
        info = read_info(film)
    except InputError:
        return 0
    if info.tags is None or info.tags.story != story:
        return 0
    return max(0, len(story.shots) - len(info.chapters))
