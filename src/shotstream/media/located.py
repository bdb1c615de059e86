"""Plain data that remembers on which line everything stands."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from shotstream.core.errors import InputError
from shotstream.core.story import unknown_key

MAX_DEPTH = 8  # a story is three deep

Place = tuple[str | int, ...]


@dataclass
class Located:
    """``data`` as read, and the line (from 1) of every key and list item by its place in ``data``."""

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, name: str, said: str) -> InputError:
        """What to raise for ``place`` of the file ``name``."""
        return InputError(f"{name}, line {self.line(place)}: {said}")


def refuse_twice(key: str, found: Container[str], line: int, name: str) -> None:
    """Raise :class:`InputError` if ``key`` was already ``found`` in this mapping."""
    if key in found:
        raise InputError(f"{name}, line {line}: {json.dumps(key[:40])} is given twice; keep one")


def refuse_unknown(found: Located, known: Iterable[str], name: str) -> None:
    """Raise :class:`InputError` for the first key of the mapping ``found`` that is not ``known``."""
    names = list(known)
    assert isinstance(found.data, dict)
    for key in found.data:
        if key not in names:
            raise found.fault((key,), name, unknown_key(key, names))
