"""A film read from where it is kept, without a model: to look at and to export, not to go on with."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.film.archive import unpack
from shotstream.film.folder import peek, takes_of
from shotstream.film.footage import check_footage
from shotstream.film.record import FilmRecord
from shotstream.film.store import TakeStore


def read_stored(path: Path) -> tuple[FilmRecord, TakeStore]:
    """The film in the file, or kept in the folder, ``path``; another program may have it open.

    Raises :class:`InputError` if it is none, or damaged.
    """
    if not path.is_dir():
        return unpack(path)
    record = peek(path)
    store = TakeStore.of(record, takes_of(path))
    for take in record.takes():
        if take.made and not store.path(take).is_file():
            raise InputError(f"{path}: {take.video} is missing; open the film, and it is made again")
        if take.made:
            check_footage(store.path(take), store.shape(take))
    return record, store
