"""A film as files a person opens, in every format of :mod:`shotstream.media.exports`. From what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shotstream.core.geometry import Geometry
from shotstream.film.archive import pack
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.formats import write_export
from shotstream.media.exports.storyboard import write_board as write_timelines_board
from shotstream.media.h264 import Picture

if TYPE_CHECKING:
    from shotstream.film.film import Film

WHOLE = ".film"  # the suffix of a film file, which holds every take and can be gone on with


def export_film(film: Film, path: Path, *, storyboard: Path | None = None, shot: int | None = None) -> list[Path]:
    """Write the chosen takes of ``film`` to ``path`` as its suffix says, and a storyboard if asked for.

    shot: that shot alone. Returns every file written; each is whole. Raises :class:`InputError` if the film has no
    made shot or the suffix means nothing, :class:`StorageError` when the disk refuses.
    """
    if path.suffix.lower() == WHOLE:
        pack(film.record, film.store, path)
        written = [path]
    else:
        written = write_export(timeline_of(film.record, film.store, path.stem), path, shot=shot)
    if storyboard is not None:
        write_board(film, storyboard)
        written.append(storyboard)
    return written


def write_board(film: Film, path: Path) -> None:
    """Write a PNG with frames of every made shot of ``film``. Raises as :func:`export_film` does."""
    write_timelines_board(timeline_of(film.record, film.store, path.stem), path)


def picture(geometry: Geometry) -> Picture:
    """What the film writer needs to know of ``geometry``."""
    return Picture(width=geometry.width, height=geometry.height, fps=geometry.fps)
