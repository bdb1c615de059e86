"""Lengths as the clips have them: every shot as often as every other, trimmed, batches of one length."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import cast

import pytest

from shotstream.core.errors import InputError
from shotstream.training.data.latent_store import ClipLengths, LatentStore


@dataclass
class Lengths:
    """What the draws ask of a store: the latent frames of every shot of every story."""

    shots_of: list[list[int]]

    @property
    def shown(self) -> range:
        return range(len(self.shots_of))

    def shots(self, story: int) -> int:
        return len(self.shots_of[story])

    def frames(self, story: int, shot: int) -> int:
        return self.shots_of[story][shot]


CLIPS = Lengths([[21, 2, 7], [4, 21, 21], [9], [3, 8]])


def drawn(first_share: float, count: int = 6000, **settings: int) -> Counter[tuple[int, tuple[int, int]]]:
    draws = ClipLengths(cast(LatentStore, CLIPS), CLIPS.frames, first_share, **settings)
    draw = random.Random(1)
    found: Counter[tuple[int, tuple[int, int]]] = Counter()
    for _ in range(count):
        length = draws.length(draw)
        found[length, draws.shot(draw, length)] += 1
    return found


def test_every_shot_is_drawn_at_its_own_length_and_as_often_as_every_other() -> None:
    found = drawn(0.25)
    shots = {(CLIPS.frames(story, shot), (story, shot)) for story in range(4) for shot in range(CLIPS.shots(story))}
    assert set(found) == shots
    for (_, (_, shot)), times in found.items():
        expected = 6000 * (0.75 / 5 if shot else 0.25 / 4)
        assert abs(times - expected) < 5 * expected**0.5


def test_students_get_whole_blocks_and_nothing_shorter_than_one() -> None:
    found = drawn(0.0, multiple=3, shortest=3)
    assert set(found) == {(6, (0, 2)), (21, (1, 1)), (21, (1, 2)), (6, (3, 1))}


def test_trajectories_keep_the_length_and_leave_out_what_is_shorter_than_a_block() -> None:
    assert {length for length, _ in drawn(0.0, shortest=3)} == {7, 21, 8}


@pytest.mark.parametrize(("first_share", "kind"), [(0.0, "later"), (1.0, "first")])
def test_a_kind_of_shots_that_is_asked_for_and_not_there_is_one_line(first_share: float, kind: str) -> None:
    with pytest.raises(InputError, match=f"lengths: no {kind} shot has 22 latent frames; change first_share"):
        drawn(first_share, shortest=22)
