"""Every word the captions of the world can contain, computed from the phrase tables.

A prompt's words outside :func:`vocabulary` are words a model trained on the world has never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import astuple, is_dataclass
from functools import cache
from types import ModuleType

from shotstream.core.words import words_of
from shotstream.data.world import captions_global, phrases, phrases_camera

TABLES: tuple[ModuleType, ...] = (phrases, phrases_camera, captions_global)
SLOT = re.compile(r"\{\w+\}")


@cache
def vocabulary() -> frozenset[str]:
    """All words, lower-case, hyphened words whole ("close-up")."""
    tables = (table for module in TABLES for name, table in vars(module).items() if name.isupper())
    return frozenset(word for table in tables for text in _texts(table) for word in words_of(SLOT.sub(" ", text)))


def unknown_words(text: str) -> list[str]:
    """The words of ``text`` that no caption contains, each once, in order."""
    return [word for word in dict.fromkeys(words_of(text)) if word not in vocabulary()]


def _texts(table: object) -> Iterator[str]:
    """All strings inside nested dicts, sequences and dataclasses. Keys of dicts are labels, not text."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        yield from (text for value in table.values() for text in _texts(value))
    elif isinstance(table, (tuple, list)):
        yield from (text for value in table for text in _texts(value))
    elif is_dataclass(table) and not isinstance(table, type):
        yield from _texts(astuple(table))
