"""Words as they are typed: which the model does not know, what it knows instead, and whether a cut would read."""

from __future__ import annotations

from difflib import get_close_matches

from shotstream.core.config import Config
from shotstream.core.words import WORD, plain
from shotstream.media.story_check import reads_as_cut


class UnknownWord(Config):
    """Characters ``start`` to ``stop`` of the text, and words the model knows instead."""

    start: int
    stop: int
    instead: tuple[str, ...]


class Words(Config):
    """What is to be said of a text. ``hint``: what a person should know before shooting; blank if nothing."""

    unknown: tuple[UnknownWord, ...]
    hint: str


NEAR = 0.7  # how alike a word must be to be offered


def unknown_in(text: str, known: frozenset[str]) -> tuple[UnknownWord, ...]:
    """Every word of ``text`` that is not ``known``, with up to three that are like it. Nothing is unknown to a model
    that reads any word (``known`` is empty)."""
    if not known:
        return ()
    found = []
    for match in WORD.finditer(text):
        word = plain(match[0].lower())
        if word not in known:
            near = get_close_matches(word, known, n=3, cutoff=NEAR)
            found.append(UnknownWord(start=match.start(), stop=match.end(), instead=tuple(near)))
    return tuple(found)


def cut_hint(previous: str | None, text: str) -> str:
    """What a person should know before ``text`` follows the shot ``previous``; blank if nothing."""
    if previous is None or not text.strip() or reads_as_cut(previous, text):
        return ""
    return "Nearly the same as the last shot: the cut may not read. Change the framing, the place or who is seen."
