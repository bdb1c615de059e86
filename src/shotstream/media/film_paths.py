"""Where a film and its storyboard go: names, and whether they can be written, found out before any work."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.files import ready_to_write


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
