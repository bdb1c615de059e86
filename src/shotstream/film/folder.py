"""A film kept in a folder while it is made: the one place that writes it down.

film.json            the record, whole, replaced at every change
takes/00000.mp4 ...  the footage of every made take, there before the record says so
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import write_text
from shotstream.film.archive import RECORD, made_takes
from shotstream.film.footage import check_footage
from shotstream.film.record import FilmRecord, read_record
from shotstream.film.store import TakeStore


class Ledger(Protocol):
    """Where a film's changes are written down."""

    def write(self, record: FilmRecord) -> None:
        """Make ``record`` durable. Raises :class:`StorageError`; the film is then as it was."""


class NoLedger:
    """A film that lives as long as the program, or until it is saved."""

    def write(self, record: FilmRecord) -> None:
        """Nothing is written."""


class FilmFolder:
    """The ledger of a film in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.takes = folder / "takes"

    @classmethod
    def new(cls, folder: Path) -> FilmFolder:
        """Begin in ``folder``, made if missing. Raises :class:`InputError` if there is anything in it."""
        kept = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise InputError(f"{folder}: is not empty; a new film needs a folder of its own")
            kept.takes.mkdir()
        except OSError as fault:
            raise StorageError(f"{folder}: cannot hold a film ({fault.strerror or fault})") from fault
        return kept

    def write(self, record: FilmRecord) -> None:
        write_text(self.folder / RECORD, record.model_dump_json(indent=1))

    def read(self) -> FilmRecord:
        """The film as it was written last. Raises :class:`InputError` if it is none, or footage is missing."""
        record = self.record()
        store = self.store(record)
        for take in made_takes(record):
            if not store.path(take).is_file():
                raise InputError(f"{self.folder}: {take.video} is missing; the film is damaged")
            check_footage(store.path(take), store.shape(take))
        return record

    def record(self) -> FilmRecord:
        """The record alone. Raises :class:`InputError` if there is none."""
        path = self.folder / RECORD
        try:
            return read_record(path.read_bytes(), str(path))
        except FileNotFoundError as fault:
            raise InputError(f"{self.folder}: no film is kept here (it has no {RECORD}); check the name") from fault
        except OSError as fault:
            raise StorageError(f"{path}: cannot be read ({fault.strerror or fault})") from fault

    def store(self, record: FilmRecord) -> TakeStore:
        """Where the film's takes live."""
        return TakeStore.of(record, self.takes)
