"""The folder of films: ids, names, sizes, and where a viewer stopped."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.config import Config
from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import explained, write_text
from shotstream.film.disk.folder import (
    JOURNAL,
    FilmFolder,
    holds_film,
    last_change,
    peek,
    remove_unborn,
    takes_of,
    usage,
)
from shotstream.film.disk.scratch import ScratchFolder, clean_scratch
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import FilmRecord
from shotstream.serving.protocol import FilmView, Point

ID = re.compile(r"[0-9a-f]{12}")
POSITION, NAME = "position.json", "name.txt"
MOST_NAME, COPIED = 70, " (copy)"  # characters of a name that a copy keeps; what it adds


class FilmSummary(Config):
    """One film of the library; ``name``: blank if it has none; ``changed``: seconds since 1970; ``made``: of its shots;
    ``bytes``: what it fills."""

    id: str
    name: str
    global_caption: str
    made: int
    bytes: int
    shots: int
    changed: float


@dataclass(frozen=True, slots=True)
class Published:
    """An open film as it stood last, for whoever reads it in any thread: it never changes. ``fault``: why its next take
    waits for a person; blank if it does not."""

    view: FilmView
    record: FilmRecord
    store: TakeStore
    fault: str = ""


class Library:
    """Films in ``root``, one folder each. ``budget``: bytes they may fill together."""

    def __init__(self, root: Path, budget: int | None = None) -> None:
        self.root, self.budget = root, budget
        self.published: dict[str, Published] = {}  # of every open film; the worker writes it, all others read
        self._used: dict[str, int] | None = None  # bytes of each film
        self._entries: dict[str, FilmSummary] = {}
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StorageError(
                f"{root}: cannot hold films ({fault.strerror or fault}); choose another folder"
            ) from fault

    def new_id(self) -> str:
        """A name no film has."""
        return secrets.token_hex(6)

    def folder(self, id: str) -> Path:
        """Where film ``id`` is kept. Raises :class:`InputError` for what cannot be an id."""
        if not ID.fullmatch(id):
            raise InputError("there is no such film")
        return self.root / id

    def has(self, id: str) -> bool:
        return ID.fullmatch(id) is not None and holds_film(self.root / id)

    def entries(self) -> list[FilmSummary]:
        """Every film that can be read, the latest first."""
        with explained(self.root):
            ids = [folder.name for folder in self.root.iterdir() if self.has(folder.name)]
        found = [entry for id in ids if (entry := self._entry(id)) is not None]
        return sorted(found, key=lambda entry: entry.changed, reverse=True)

    def discard(self, kept: FilmFolder) -> None:
        """Delete a film that was just imported and is not wanted."""
        kept.close()
        shutil.rmtree(kept.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what programs that were killed have left: what was being sent, and folders that never became films."""
        clean_scratch(self.root)
        for folder in self.root.iterdir():
            if ID.fullmatch(folder.name) is not None and folder.is_dir():
                remove_unborn(folder)

    def used(self) -> int:
        """Bytes of all films together, as last measured."""
        if self._used is None:
            with explained(self.root):
                self._used = {folder.name: usage(folder) for folder in self.root.iterdir() if self.has(folder.name)}
        return sum(self._used.values())

    def measure(self, id: str) -> None:
        """Measure film ``id`` again, as its files have changed."""
        self.used()
        assert self._used is not None
        self._used[id] = usage(self.folder(id))

    def refuse_if_full(self, coming: int = 0) -> None:
        """Raise :class:`StorageError` if the films fill their budget, or would with so many bytes more."""
        if self.budget is not None and self.used() + max(coming, 1) > self.budget:
            raise StorageError(
                f"the films fill {self.used() / 1e9:.2f} of {self.budget / 1e9:.2f} GB; clean up with "
                "`shotstream films clean`, or give the studio a larger --disk-budget"
            )

    def _entry(self, id: str) -> FilmSummary | None:
        """What the list says of film ``id``; read again only if it has changed."""
        folder = self.folder(id)
        try:
            changed = last_change(folder)
            if id not in self._entries or self._entries[id].changed != changed:
                record = peek(folder)
                self._entries[id] = FilmSummary(
                    id=id,
                    name=self.name(id),
                    global_caption=record.global_caption,
                    made=sum(shot.choice is not None for shot in record.shots),
                    bytes=usage(folder),
                    shots=len(record.shots),
                    changed=changed,
                )
            return self._entries[id]
        except (InputError, StorageError):
            return None  # a damaged film says so when it is opened; the list goes on

    def name(self, id: str) -> str:
        """The name that was given to film ``id``; blank if none was."""
        try:
            return (self.folder(id) / NAME).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def rename(self, id: str, name: str) -> None:
        """Name film ``id``; a blank name takes its name away. Raises :class:`InputError`."""
        name = " ".join(name.split())
        if not name.isprintable():
            raise InputError("a film's name must consist of printable characters")
        write_text(self.folder(id) / NAME, name)
        self._entries.pop(id, None)

    def copy(self, id: str) -> FilmSummary:
        """A copy of film ``id``, its history too; footage, which never changes, is shared where the disk can do that.

        Raises :class:`StorageError`.
        """
        self.refuse_if_full(usage(self.folder(id)))
        source, copy = self.folder(id), self.new_id()
        with ScratchFolder(self.root) as scratch, explained(self.folder(copy)):
            ready = scratch / copy
            takes_of(ready).mkdir(parents=True)
            for path in takes_of(source).glob("[0-9]*.mp4"):
                _link(path, takes_of(ready) / path.name)
            shutil.copy2(source / JOURNAL, ready / JOURNAL)
            ready.rename(self.folder(copy))
        called = self.name(id) or peek(source).global_caption
        called = "".join(one if one.isprintable() or one.isspace() else "\ufffd" for one in called)
        self.rename(copy, called[:MOST_NAME].strip() + COPIED)
        self.measure(copy)
        entry = self._entry(copy)
        assert entry is not None
        return entry

    def delete(self, id: str) -> None:
        """Delete film ``id``, which must not be open, for good."""
        self.used()
        shutil.rmtree(self.folder(id), ignore_errors=True)
        self._entries.pop(id, None)
        if self._used is not None:
            self._used.pop(id, None)

    def note(self, id: str, position: Point) -> None:
        """Store where a viewer of film ``id`` stands."""
        write_text(self.folder(id) / POSITION, position.model_dump_json())

    def position(self, id: str) -> Point | None:
        """Where a viewer stood last; None if nobody did, or the note is damaged (it is a convenience)."""
        try:
            return Point.model_validate(json.loads((self.folder(id) / POSITION).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None


def _link(source: Path, copy: Path) -> None:
    """``copy`` is ``source`` itself by another name, where the disk can do that."""
    try:
        os.link(source, copy)
    except OSError:
        shutil.copyfile(source, copy)
