"""What a word is: one rule for captions, prompts and the lists of words a model knows."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The lower-case words of ``text``; hyphened words ("close-up") are one word, apostrophes are made plain."""
    return [plain(word) for word in WORD.findall(text.lower())]


def plain(word: str) -> str:
    """``word`` with the typewriter's apostrophe."""
    return word.replace("’", "'")
