"""Films as version 1 kept them: the whole record in film.json, written anew at every change, beside the footage."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.files import explained
from shotstream.film.record import FilmRecord
from shotstream.film.record_file import read_record

OLD_RECORD = "film.json"


def old_record(folder: Path) -> FilmRecord:
    """The film in ``folder``; its takes have no checksums yet. Raises :class:`InputError`, :class:`StorageError`."""
    path = folder / OLD_RECORD
    with explained(path):
        return read_record(path.read_bytes(), str(path))
