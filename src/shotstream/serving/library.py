"""The folder of films: names made here, never by a person; how much they hold; where a viewer stood."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import write_text
from shotstream.film.folder import holds_film, last_change, peek, usage
from shotstream.serving.protocol import Point

ID = re.compile(r"[0-9a-f]{12}")
POSITION = "position.json"
LEFT_FOR = 24 * 3600  # seconds after which nobody can still be at work on it


@dataclass(frozen=True, slots=True)
class Entry:
    """One film of the library; ``changed``: seconds since 1970."""

    id: str
    global_caption: str
    shots: int
    changed: float


class Library:
    """Films in ``root``, one folder each. ``budget``: bytes they may fill together."""

    def __init__(self, root: Path, budget: int | None = None) -> None:
        self.root, self.budget = root, budget
        self._used: dict[str, int] | None = None  # bytes of each film
        self._entries: dict[str, Entry] = {}
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

    def entries(self) -> list[Entry]:
        """Every film that can be read, the latest first."""
        ids = [folder.name for folder in self.root.iterdir() if self.has(folder.name)]
        found = [entry for id in ids if (entry := self._entry(id)) is not None]
        return sorted(found, key=lambda entry: entry.changed, reverse=True)

    def sweep(self) -> None:
        """Remove what imports that were killed have left: folders with an id that never became a film."""
        for folder in self.root.iterdir():
            left = ID.fullmatch(folder.name) is not None and folder.is_dir() and not holds_film(folder)
            if left and time.time() - folder.stat().st_mtime > LEFT_FOR:
                shutil.rmtree(folder, ignore_errors=True)

    def used(self) -> int:
        """Bytes of all films together, as last measured."""
        if self._used is None:
            self._used = {folder.name: usage(folder) for folder in self.root.iterdir() if self.has(folder.name)}
        return sum(self._used.values())

    def measure(self, id: str) -> None:
        """Film ``id`` holds more or less than before."""
        self.used()
        assert self._used is not None
        self._used[id] = usage(self.folder(id))

    def refuse_if_full(self) -> None:
        """Raise :class:`StorageError` if the films fill their budget."""
        if self.budget is not None and self.used() >= self.budget:
            raise StorageError(
                f"the films fill {self.used() / 1e9:.2f} of {self.budget / 1e9:.2f} GB; clean up with "
                "`shotstream films clean`, or give the studio a larger --disk-budget"
            )

    def _entry(self, id: str) -> Entry | None:
        """What the list says of film ``id``; read again only if it has changed."""
        folder = self.folder(id)
        try:
            changed = last_change(folder)
            if id not in self._entries or self._entries[id].changed != changed:
                record = peek(folder)
                self._entries[id] = Entry(id, record.global_caption, len(record.shots), changed)
            return self._entries[id]
        except (InputError, StorageError):
            return None  # a damaged film says so when it is opened; the list goes on

    def note(self, id: str, position: Point) -> None:
        """Remember where a viewer of film ``id`` stands."""
        write_text(self.folder(id) / POSITION, position.model_dump_json())

    def position(self, id: str) -> Point | None:
        """Where a viewer stood last; None if nobody did, or the note is damaged (it is a convenience)."""
        try:
            return Point.model_validate(json.loads((self.folder(id) / POSITION).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
