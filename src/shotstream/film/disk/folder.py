"""A film in a folder while it is made: journal, footage and lock.

journal.jsonl        every event, in order (:mod:`shotstream.film.record.events`); what is accepted is in it
takes/00000.mp4 ...  the footage of every made take, there before the journal says so
.lock                held by the program that has the film open
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from filelock import FileLock, Timeout
from pydantic import ValidationError

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import explained, make_folder
from shotstream.film.disk.journal import Journal, Scan, repaired, scan
from shotstream.film.disk.scratch import JUST_MADE
from shotstream.film.disk.store import TakeStore, checksum
from shotstream.film.record.events import EVENT, Event, Founded, Lost
from shotstream.film.record.film_record import FilmRecord
from shotstream.film.record.history import History
from shotstream.film.record.record_file import check_version, said

JOURNAL = "journal.jsonl"
_LOCK = ".lock"
_OPEN: WeakValueDictionary[Path, FilmFolder] = WeakValueDictionary()  # in this program


class OpenElsewhereError(InputError):
    """Another program has the film open."""


class Ledger(Protocol):
    """Where a film's events are written."""

    def write(self, event: Event) -> None:
        """Make ``event`` durable. Raises :class:`StorageError`; the film is then as it was."""

    def refuse_if_closed(self) -> None:
        """Raise :class:`StorageError` if nothing can be written any more: the footage is somebody else's by now."""

    def restart(self, founded: Founded) -> None:
        """Drop all events; the film begins with ``founded``. Raises :class:`StorageError`."""

    def close(self) -> None:
        """Nothing more will be written."""


class NullLedger:
    """Writes nothing: for a film that lives as long as the program, or until it is saved."""

    def write(self, event: Event) -> None:
        """Nothing is written."""

    def refuse_if_closed(self) -> None:
        """It never is."""

    def restart(self, founded: Founded) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """There is nothing to close."""


class SnapshotLedger(NullLedger):
    """For a snapshot, which nothing changes."""

    def write(self, event: Event) -> None:
        self.refuse_if_closed()

    def refuse_if_closed(self) -> None:
        raise InputError("this is a snapshot of a film; change the film itself")

    def restart(self, founded: Founded) -> None:
        raise InputError("this is a snapshot of a film; clean the film itself")


class ClosedLedger(NullLedger):
    """For a film that was closed."""

    def write(self, event: Event) -> None:
        self.refuse_if_closed()

    def refuse_if_closed(self) -> None:
        raise StorageError("this film is closed; open it again from its file or folder")

    def restart(self, founded: Founded) -> None:
        self.refuse_if_closed()


class FilmFolder:
    """The ledger of a film in ``folder``. ``history``: what it held when opened. ``repairs``: see :meth:`open`."""

    def __init__(self, folder: Path, lock: FileLock, journal: Journal, history: History) -> None:
        self.folder = folder
        self._lock, self._journal = lock, journal
        self.history = history
        self.repairs: tuple[str, ...] = ()
        _OPEN[folder.resolve()] = self

    @classmethod
    def new(cls, folder: Path, founded: Founded) -> FilmFolder:
        """Begin in ``folder``, which :func:`empty_folder` has made. Raises as :meth:`open` does."""
        lock = _locked(folder)
        try:
            journal = Journal.create(folder / JOURNAL, _text(founded))
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock, journal, History(founded))

    @classmethod
    def open(cls, folder: Path) -> FilmFolder:
        """The film in ``folder``, repaired if need be: see ``repairs``. Any other handle in this program is closed.

        Raises :class:`InputError` if there is none, it is open elsewhere, of a later version or beyond repair;
        :class:`StorageError` if the disk refuses.
        """
        if not holds_film(folder):
            raise InputError(f"{folder}: no film is kept here (it has no {JOURNAL}); check the name")
        lock = _locked(folder)
        try:
            found = scan(folder / JOURNAL)
            history = _history(folder / JOURNAL, found)
            journal, cut = repaired(folder / JOURNAL, found)
        except BaseException:
            lock.release()
            raise
        kept = cls(folder, lock, journal, history)
        try:
            kept.repairs = (*([cut] if cut else []), *kept._repair_footage())
        except BaseException:
            kept.close()
            raise
        return kept

    def write(self, event: Event) -> None:
        self._journal.append(_text(event))

    def refuse_if_closed(self) -> None:
        self._journal.refuse_if_closed()

    def restart(self, founded: Founded) -> None:
        self._journal.close()
        try:
            self._journal = Journal.create(self.folder / JOURNAL, _text(founded))
        except BaseException:
            found = scan(self.folder / JOURNAL)
            self._journal = Journal(self.folder / JOURNAL, found.end, found.chain)
            raise

    @property
    def closed(self) -> bool:
        return self._journal.closed

    def close(self) -> None:
        self._journal.close()
        self._lock.release()

    def store(self) -> TakeStore:
        """Where the film's takes live."""
        return TakeStore.of(self.history.record, takes_of(self.folder))

    def _repair_footage(self) -> list[str]:
        """Remove half-written files, and let takes whose footage is damaged be made again; says which."""
        _sweep(self.folder)
        store = self.store()
        bad = [id for id, sum in self.history.footage.items() if not _whole(store.file(id), sum)]
        if not bad:
            return []
        before = self.history.record
        lost = Lost(footage=tuple(bad))
        self.write(lost)
        self.history.add(lost)
        return [_said_lost(before, id) for id in bad]


def empty_folder(folder: Path) -> Path:
    """Make ``folder`` ready for a new film; returns where its takes go. Raises :class:`InputError` if it is in use."""
    make_folder(folder)
    with explained(folder):
        if any(entry.name != _LOCK for entry in folder.iterdir()):
            raise InputError(f"{folder}: is not empty; a new film needs a folder of its own")
    make_folder(takes_of(folder))
    return takes_of(folder)


def open_here(folder: Path) -> bool:
    """Does this program have the film in ``folder`` open?"""
    return folder.resolve() in _OPEN and not _OPEN[folder.resolve()].closed


def takes_of(folder: Path) -> Path:
    """Where the footage of the film in ``folder`` is."""
    return folder / "takes"


def holds_film(folder: Path) -> bool:
    """Is a film kept in ``folder``?"""
    return (folder / JOURNAL).is_file()


def remove_unborn(folder: Path) -> None:
    """Remove ``folder`` if a program was killed that was about to make a film of it."""
    locked = (folder / _LOCK).exists()
    if holds_film(folder) or not (locked or time.time() - folder.stat().st_mtime > JUST_MADE):
        return
    lock = FileLock(str(folder / _LOCK), timeout=0, thread_local=False)
    with suppress(Timeout, OSError), lock:
        if not holds_film(folder):
            shutil.rmtree(folder, ignore_errors=True)


def last_change(folder: Path) -> float:
    """When the film in ``folder`` was changed last, in seconds since 1970. Raises :class:`StorageError`."""
    with explained(folder / JOURNAL):
        return (folder / JOURNAL).stat().st_mtime


def usage(folder: Path) -> int:
    """Bytes of all files of the film in ``folder``; those that go away meanwhile do not count."""
    return sum(_size(path) for path in (*folder.glob("*"), *takes_of(folder).glob("*")))


def peek(folder: Path) -> FilmRecord:
    """The film in ``folder`` as it stands, read without opening it: another program may be at work on it.

    Raises :class:`InputError` if there is none, :class:`StorageError`.
    """
    if not holds_film(folder):
        raise InputError(f"{folder}: no film is kept here (it has no {JOURNAL}); check the name")
    return _history(folder / JOURNAL, scan(folder / JOURNAL)).record


def _locked(folder: Path) -> FileLock:
    """Lock the film in ``folder``; any other handle of this program on it is closed."""
    before = _OPEN.get(folder.resolve())
    if before is not None:
        before.close()
    lock = FileLock(str(folder / _LOCK), timeout=0, thread_local=False)
    with explained(folder):
        try:
            lock.acquire()
        except Timeout as fault:
            raise OpenElsewhereError(f"{folder}: the film is open in another program; close it there first") from fault
    return lock


def _history(path: Path, found: Scan) -> History:
    if not found.lines:
        raise InputError(f"{path}: damaged from its first line on; put back a copy of the film")
    check_version(found.lines[0], str(path))
    lines = iter(enumerate(found.lines, 1))
    number, line = next(lines)
    try:
        history = History(Founded.model_validate_json(line))
        for number, line in lines:  # noqa: B007
            history.add(EVENT.validate_json(line))
        FilmRecord.model_validate_json(history.record.model_dump_json())
    except ValidationError as fault:
        raise InputError(f"{path}: line {number}: {said(fault)}; written by a later version?") from fault
    except InputError as fault:
        raise InputError(f"{path}: line {number} does not fit the lines before it ({fault})") from fault
    return history


def _sweep(folder: Path) -> None:
    """Remove what was being written when a program died."""
    with explained(folder):
        for part in (*folder.glob(".*.part"), *takes_of(folder).glob(".*.part")):
            part.unlink(missing_ok=True)


def _whole(path: Path, sum: str) -> bool:
    """Is the footage at ``path`` the one that was written? Without a checksum nobody knows."""
    try:
        return bool(sum) and checksum(path) == sum
    except OSError:
        return False


def _said_lost(record: FilmRecord, footage: int) -> str:
    """What became of a film that lacks ``footage``, for a person."""
    name = next((one.name for one in record.references if one.picture.footage == footage), None)
    if name is not None:
        return f"the reference image of {name!r} is missing or damaged; pin it again"
    shots = {take.footage: (index, take) for index, shot in enumerate(record.shots) for take in shot.takes}
    index, take = shots.get(footage, (None, None))
    place = f"the footage of take {footage}" + ("" if index is None else f" of shot {index}")
    if take is not None and take.source:
        return f"{place}, from {take.source}, is missing or damaged; put the file in again, or the model makes the shot"
    return f"{place} is missing or damaged; it will be made again"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _text(event: Event) -> bytes:
    return event.model_dump_json().encode()
