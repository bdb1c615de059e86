"""Plain data that remembers on which line everything stands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from shotstream.core.errors import InputError

MAX_DEPTH = 8  # a story is three deep

Place = tuple[str | int, ...]


@dataclass
class Located:
    """``data`` as read, and the line (from 1) of every key and list item by its place in ``data``."""

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)


def refuse_twice(key: str, found: dict[str, object], line: int, name: str) -> None:
    """Raise :class:`InputError` if ``key`` was already ``found`` in this mapping."""
    if key in found:
        raise InputError(f"{name}, line {line}: {json.dumps(key[:40])} is given twice; keep one")
