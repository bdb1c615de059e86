"""What counts as a word in captions and prompts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


LOST_SHOWN = 12  # words that are named of those a prompt loses
NEAR = 0.6  # of letters in common, from which a known word is offered for an unknown one


def words_of(text: str) -> list[str]:
    """The lower-case words of ``text``; hyphened words ("close-up") are one word, apostrophes are made plain."""
    return [plain(word) for word in WORD.findall(text.lower())]


def words_within(text: str, start: int, stop: int) -> list[str]:
    """The words of which at least a part lies in ``text[start:stop]``, as they are written there."""
    return [match[0] for match in WORD.finditer(text) if match.start() < stop and match.end() > start]


def plain(word: str) -> str:
    """``word`` with the typewriter's apostrophe."""
    return word.replace("’", "'")


def lost_said(lost: Sequence[str], text_len: int) -> str:
    """The sentence for a person whose prompt loses the words ``lost``."""
    shown = " ".join(lost[:LOST_SHOWN]) + (" ..." if len(lost) > LOST_SHOWN else "")
    number = f"{len(lost)} {'word is' if len(lost) == 1 else 'words are'}"
    return f"the prompt is longer than the model reads ({text_len} tokens); {number} not read: {shown}"


def unknown_said(unknown: Sequence[str]) -> str:
    """The sentence for a person some of whose words the model was not trained on."""
    return f"words the model does not know: {', '.join(unknown)}"


def nearest(word: str, known: Collection[str], most: int = 1) -> list[str]:
    """Up to ``most`` words among ``known`` that are spelt much like ``word``, the likest first."""
    return get_close_matches(word, known, n=most, cutoff=NEAR)
