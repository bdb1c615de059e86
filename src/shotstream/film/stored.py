"""A film read from where it is kept, without a model: to look at and to export, not to go on with."""

from __future__ import annotations

from pathlib import Path

from shotstream.film.archive import unpack
from shotstream.film.folder import FilmFolder
from shotstream.film.record import FilmRecord
from shotstream.film.store import TakeStore


def read_stored(path: Path) -> tuple[FilmRecord, TakeStore]:
    """The film in the file, or kept in the folder, ``path``. Raises :class:`InputError` if it is none, or damaged."""
    if not path.is_dir():
        return unpack(path)
    kept = FilmFolder(path)
    record = kept.read()
    return record, kept.store(record)
