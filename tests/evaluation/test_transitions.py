"""Shot cut accuracy against cases worked out by hand and against brute force."""

from __future__ import annotations

from itertools import combinations
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.geometry import Geometry
from shotstream.evaluation.measures import block_seams, false_cuts, match_cuts, planned_cuts, shot_cut_accuracy

CUTS = st.lists(st.integers(1, 99), max_size=4, unique=True).map(sorted)


@pytest.mark.parametrize(
    ("planned", "detected", "expected"),
    [
        ([30, 60], [30, 60], 1.0),
        ([30, 60], [32, 59], exp(-3 / 90)),  # 2 + 1 frames off
        ([30, 60], [30], exp(-30 / 90)),  # one missed: a penalty of 90 / 3
        ([30, 60], [], exp(-60 / 90)),
        ([30, 60], [30, 45, 60], exp(-30 / 90)),  # one extra
        ([30, 60], [31, 45, 58, 80], exp(-(1 + 2 + 30 + 30) / 90)),
        ([], [], 1.0),
        ([], [45], exp(-1)),  # a film of one shot: the penalty is the whole film
        ([10], [89], exp(-79 / 90)),  # far apart, yet cheaper than two penalties of 45
    ],
)
def test_hand_computed_cases(planned: list[int], detected: list[int], expected: float) -> None:
    assert shot_cut_accuracy(planned, detected, 90) == pytest.approx(expected)


def _cheapest(planned: list[int], detected: list[int], penalty: float) -> float:
    """Every way to pair as many of one side with as many of the other, in order."""
    costs = []
    for pairs in range(min(len(planned), len(detected)) + 1):
        for ours in combinations(planned, pairs):
            for theirs in combinations(detected, pairs):
                alone = len(planned) + len(detected) - 2 * pairs
                costs.append(sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) + alone * penalty)
    return min(costs)


@settings(max_examples=60, deadline=None)
@given(CUTS, CUTS, st.sampled_from((3.0, 12.5, 40.0)))
def test_the_matching_is_the_cheapest_there_is(planned: list[int], detected: list[int], penalty: float) -> None:
    found = match_cuts(planned, detected, penalty)
    cost = found.distance + penalty * (len(found.missed) + len(found.extra))
    assert cost == pytest.approx(_cheapest(planned, detected, penalty))
    assert sorted([*found.missed, *(pair[0] for pair in found.pairs)]) == planned
    assert sorted([*found.extra, *(pair[1] for pair in found.pairs)]) == detected


def test_false_cuts_are_those_far_from_every_planned_one() -> None:
    assert false_cuts([30, 60], [27, 34, 60, 80]) == (34, 80)


def test_seams_and_cuts_of_shots() -> None:
    geometry = Geometry(width=64, height=32, spatial=16, latent_channels=4)
    assert block_seams([9, 21, 33], geometry) == 0 + 1 + 2
    assert planned_cuts([9, 21, 33]) == (9, 30)


def test_a_film_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        shot_cut_accuracy([], [], 0)
