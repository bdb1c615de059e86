"""The folder of films: names made here, never by a person; where a viewer stood."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import write_text
from shotstream.film.folder import FilmFolder
from shotstream.serving.protocol import Point

ID = re.compile(r"[0-9a-f]{12}")
POSITION = "position.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One film of the library; ``changed``: seconds since 1970."""

    id: str
    global_caption: str
    shots: int
    changed: float


class Library:
    """Films in ``root``, one folder each."""

    def __init__(self, root: Path) -> None:
        self.root = root
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
        return ID.fullmatch(id) is not None and (self.root / id / "film.json").is_file()

    def entries(self) -> list[Entry]:
        """Every film that can be read, the latest first."""
        found = []
        for folder in self.root.iterdir():
            if not self.has(folder.name):
                continue
            try:
                record = FilmFolder(folder).record()
            except (InputError, StorageError):
                continue  # a damaged film says so when it is opened; the list goes on
            changed = (folder / "film.json").stat().st_mtime
            found.append(Entry(folder.name, record.global_caption, len(record.shots), changed))
        return sorted(found, key=lambda entry: entry.changed, reverse=True)

    def note(self, id: str, position: Point) -> None:
        """Remember where a viewer of film ``id`` stands."""
        write_text(self.folder(id) / POSITION, position.model_dump_json())

    def position(self, id: str) -> Point | None:
        """Where a viewer stood last; None if nobody did, or the note is damaged (it is a convenience)."""
        try:
            return Point.model_validate(json.loads((self.folder(id) / POSITION).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
