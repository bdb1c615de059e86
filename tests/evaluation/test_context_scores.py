"""What context policies hold, against what the world knows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from chosen_suites import choose_storyworld_long, gaps

from shotstream.cli.main import main
from shotstream.core.context_budget import POLICIES, ContextFrame, PastShot
from shotstream.evaluation.context import find_returns, score_context
from shotstream.evaluation.suites import read_suite

LONG = [one.story for one in read_suite("storyworld-long").first(4)]


def everything(past: Sequence[PastShot], budget: int, caption: str) -> tuple[ContextFrame, ...]:
    return tuple(ContextFrame(shot, 0) for shot in range(len(past)))


def nothing_old(past: Sequence[PastShot], budget: int, caption: str) -> tuple[ContextFrame, ...]:
    return (ContextFrame(len(past) - 1, 0),)


def test_returns_are_those_the_suite_counts_and_a_policy_holds_what_it_chose() -> None:
    for story in LONG:
        found = list(find_returns(story, everything, 6))
        assert max(one.away for one in found) == max(gaps(story))
        assert all(one.held and one.share > 0 for one in found)
        assert not any(one.held for one in find_returns(story, nothing_old, 6))


def test_dynamic_sampling_cannot_hold_what_was_away_longer_than_its_budget_and_retrieval_can() -> None:
    dynamic, found = (score_context(LONG, POLICIES[name], 6) for name in ("dynamic", "retrieval"))
    assert dynamic.beyond_held is not None and dynamic.beyond_held.mean == 0
    assert dynamic.near_held is not None and dynamic.near_held.mean == 1
    assert dynamic.late_held is not None and found.late_held is not None
    assert found.late_held.mean > 2 * dynamic.late_held.mean
    assert dynamic.returns == found.returns and found.returns["late"] >= found.returns["beyond"] > 0


def test_a_suite_without_late_returns_says_so() -> None:
    short = [one.story for one in read_suite("storyworld-101").stories if len(one.story.shots) == 5][:3]
    scores = score_context(short, POLICIES["retrieval"], 6)
    assert scores.beyond_held is None and scores.returns["beyond"] == 0


def test_the_long_suite_is_the_one_that_was_chosen() -> None:
    suite = read_suite("storyworld-long")
    assert suite.file == choose_storyworld_long()
    assert all(len(one.story.shots) == 48 and max(gaps(one.story)) >= 12 for one in suite.stories)


def test_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["eval", "context", "storyworld-long", "--stories", "2", "--policies", "dynamic,retrieval", "--json"]) == 0
    )
    said = json.loads(capfd.readouterr().out)
    assert said["suite"] == "storyworld-long" and said["budget"] == 6
    assert set(said["groups"]["48"]) == {"dynamic", "retrieval"}
    assert said["groups"]["48"]["retrieval"]["stories"] == 2
    assert main(["eval", "context", "storyworld-long", "--policies", "elephant"]) == 2
    assert "no context policy is called 'elephant'; known: dynamic" in capfd.readouterr().err
