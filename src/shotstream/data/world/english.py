"""Small rules of English that every caption needs: articles, sentences, lists."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Option = TypeVar("Option")


def indefinite(noun: str) -> str:
    """``noun`` with "a" or "an". Every word of the world that starts with a vowel letter also sounds like one."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop."""
    text = text.strip().rstrip(",")
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")


def series(parts: Sequence[str]) -> str:
    """The parts as a list: "a", "a and b", "a, doing this, and b"."""
    return joined(parts, "and")


def joined(parts: Sequence[str], joint: str) -> str:
    """The parts as "a and b"; "a, doing this, and b" where a part holds a comma of its own."""
    return (f", {joint} " if any(", " in part for part in parts[:-1]) else f" {joint} ").join(parts)


def phrase(*parts: str) -> str:
    """The non-empty parts, one space between."""
    return " ".join(part for part in parts if part)


def likely(rng: Random, options: Sequence[Option], first: float = 0.5) -> Option:
    """The first option with probability ``first``, else any of them: plain words stay the common ones."""
    return options[0] if rng.random() < first else rng.choice(options)
