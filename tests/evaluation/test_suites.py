"""The fixed suite holds what it promises."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from chosen_suites import choose_storyworld_101, gaps, has_reverse_shot

from shotstream.core.errors import InputError
from shotstream.data.world.stories import split_of_story
from shotstream.evaluation import suites
from shotstream.evaluation.suites import LATE, Suite, read_suite


@pytest.fixture(scope="module")
def suite() -> Suite:
    return read_suite("storyworld-101")


def test_a_hundred_stories_of_five_shots_and_two_long_kinds(suite: Suite) -> None:
    assert Counter(len(one.story.shots) for one in suite.stories) == {5: 100, 8: 24, 12: 24}
    assert len({one.story.seed for one in suite.stories}) == 148
    assert Counter(len(one.story.shots) for one in suite.stories[:12]) == {5: 8, 8: 2, 12: 2}


def test_the_suite_is_the_one_that_was_chosen(suite: Suite) -> None:
    assert suite.file == choose_storyworld_101()


def test_every_story_is_held_out_and_comes_back_to_something(suite: Suite) -> None:
    for one in suite.stories:
        assert split_of_story(one.story) == "held-out"
        assert max(gaps(one.story)) > 0
        if len(one.story.shots) == 5:
            assert all(2 <= shot.seconds <= 3 for shot in one.story.shots)
        if len(one.story.shots) == 12:
            assert max(gaps(one.story)[-4:]) >= LATE


def test_forty_stories_have_a_reverse_shot(suite: Suite) -> None:
    assert sum(has_reverse_shot(one.story) for one in suite.stories if len(one.story.shots) == 5) == 40


def test_a_floor_never_shows_the_story_itself(suite: Suite) -> None:
    for one in suite.stories:
        assert len(one.others) == len(one.story.shots)
        assert all(other.seed != one.story.seed for other in one.others)


def test_gaps_count_the_shots_something_was_away(suite: Suite) -> None:
    story = suite.stories[0].story
    stops = [shot.place for shot in story.shots]
    for index, away in enumerate(gaps(story)):
        earlier = [before for before in range(index) if stops[before] == stops[index]]
        assert away >= (index - earlier[-1] - 1 if earlier else 0)


def test_a_world_that_tells_other_stories_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "suite_files"
    folder.mkdir()
    fixed = Path(suites.__file__).parent / "suite_files" / "storyworld-101.json"
    changed = json.loads(fixed.read_text()) | {"captions_sha256": "0"}
    (folder / "storyworld-101.json").write_text(json.dumps(changed))
    monkeypatch.setattr(suites, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match="no longer tells the stories"):
        read_suite("storyworld-101")


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(InputError, match="known: storyworld-101"):
        read_suite("dogs")


def test_the_suite_of_an_earlier_world_names_the_one_that_took_its_place() -> None:
    with pytest.raises(InputError, match="the suite of this one is storyworld-101"):
        read_suite("storyworld-100")


def test_no_shot_of_the_suite_changes_in_its_middle(suite: Suite) -> None:
    assert not any(shot.change for one in suite.stories for shot in one.story.shots)
