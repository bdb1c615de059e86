from __future__ import annotations

from random import Random

import pytest

from shotstream.data.world.wording import indefinite, likely, phrase, sentence, series


@pytest.mark.parametrize(("noun", "told"), [("owl", "an owl"), ("fox", "a fox"), ("orange hat", "an orange hat")])
def test_articles(noun: str, told: str) -> None:
    assert indefinite(noun) == told


def test_lists() -> None:
    assert series(["a fox"]) == "a fox"
    assert series(["a fox", "an owl"]) == "a fox and an owl"
    assert series(["a fox waving, facing left", "an owl"]) == "a fox waving, facing left, and an owl"


def test_sentences() -> None:
    assert sentence("the fox waves") == "The fox waves."
    assert sentence("Wide shot.") == "Wide shot."
    assert phrase("the fox", "", "waves") == "the fox waves"


def test_the_first_option_is_the_common_one() -> None:
    rng = Random(1)
    drawn = [likely(rng, ("plain", "rare"), 0.8) for _ in range(1000)]
    assert 850 < drawn.count("plain") < 950
