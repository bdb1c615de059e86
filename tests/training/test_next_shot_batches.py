"""How many samples an update has."""

from __future__ import annotations

import pytest

from shotstream.training.next_shot_batches import NextShotSettings


@pytest.mark.parametrize("length", [1, 3, 9, 21])
def test_updates_of_short_samples_cost_what_those_of_the_longest_do(length: int) -> None:
    level = NextShotSettings(batch=4, lengths={1: 0.5, 3: 0.2, 9: 0.2, 21: 0.1}, level_cost=True)
    frames, longest = (6 + length) * level.samples(length, kept=6), 4 * (6 + 21)
    assert longest - (6 + length) < frames <= longest  # no sample more would fit
    assert level.samples(21, kept=6) == 4


@pytest.mark.parametrize("length", [3, 9])
def test_without_it_every_update_has_as_many(length: int) -> None:
    assert NextShotSettings(batch=5, lengths={3: 0.5, 9: 0.5}).samples(length, kept=6) == 5
