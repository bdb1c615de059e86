"""What counts as a word."""

from __future__ import annotations

from shotstream.core.words import words_of


def test_words_are_lower_case_and_hyphened_words_are_whole() -> None:
    assert words_of("Cut to a Close-up. It's 2D!") == ["cut", "to", "a", "close-up", "it's", "2d"]


def test_letters_of_any_alphabet_and_curly_apostrophes_count() -> None:
    assert words_of("Café d’hiver — Жук_1") == ["café", "d'hiver", "жук", "1"]
