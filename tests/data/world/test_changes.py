"""Shots with an action that changes in mid-shot: where, how often, and what is true of which frames."""

from __future__ import annotations

import pytest

from shotstream.core.errors import InputError
from shotstream.data.world.dataset import plan_dataset
from shotstream.data.world.spec import ACTIONS, WorldStory
from shotstream.data.world.stories import StoryStyle, make_story
from shotstream.data.world.truth import asked_attributes, read_attributes, stated_attributes
from shotstream.families.storyworld import STORYWORLD

STYLE = StoryStyle(changes=0.1)


@pytest.fixture(scope="module")
def stories() -> list[WorldStory]:
    return [make_story(seed, style=STYLE) for seed in range(200)]


def _changed(stories: list[WorldStory]) -> list[tuple[WorldStory, int]]:
    return [(story, index) for story in stories for index, shot in enumerate(story.shots) if shot.change]


def test_a_dataset_of_one_caption_a_shot_refuses_them() -> None:
    with pytest.raises(InputError, match="one caption"):
        plan_dataset(seed=1, split="train", geometry=STORYWORLD.geometry, style=STYLE)


def test_about_a_tenth_of_the_shots_that_can_change(stories: list[WorldStory]) -> None:
    long = [shot for story in stories for shot in story.shots if shot.seconds > min(STYLE.seconds)]
    assert 0.06 < len(_changed(stories)) / len(long) < 0.12
    assert not _changed([make_story(seed) for seed in range(50)])


def test_a_change_leaves_everything_else_of_the_story_as_it_is(stories: list[WorldStory]) -> None:
    for story in stories[:40]:
        plain = make_story(story.seed)
        assert (story.global_caption, story.characters, story.places) == (
            plain.global_caption, plain.characters, plain.places
        )  # fmt: skip
        assert [shot.at(0.0) for shot in story.shots] == list(plain.shots)


def test_changes_fall_where_a_block_of_the_film_begins(stories: list[WorldStory]) -> None:
    geometry = STORYWORLD.geometry
    starts = {geometry.shot_seconds(blocks) for blocks in range(1, geometry.max_blocks)}
    assert set(STYLE.seconds) == starts | {geometry.shot_seconds(geometry.max_blocks)}
    for story, index in _changed(stories):
        shot = story.shots[index]
        assert shot.change and shot.change.seconds in starts and shot.change.seconds < shot.seconds
        assert [role.character for role in shot.change.roles] == [role.character for role in shot.roles]
        assert shot.change.roles != shot.roles


def test_every_frame_has_the_action_that_its_caption_says(stories: list[WorldStory]) -> None:
    for story, index in _changed(stories):
        shot = story.shots[index]
        assert shot.change
        for time, roles, caption in ((0.0, shot.roles, shot.caption), (9.0, shot.change.roles, shot.change.caption)):
            assert shot.at(time).caption == caption
            asked, stated = asked_attributes(story, index, time), stated_attributes(story, index, time)
            read = read_attributes(story, index, time)
            for person, role in zip(("focus", "other"), roles, strict=False):
                assert stated[f"{person}.action"]
                assert ACTIONS[asked[f"{person}.action"]] == role.action == ACTIONS[read[f"{person}.action"]]


def test_an_action_that_changes_is_no_attribute_of_the_whole_shot(stories: list[WorldStory]) -> None:
    for story, index in _changed(stories):
        shot = story.shots[index]
        assert shot.change
        asked, stated = asked_attributes(story, index), stated_attributes(story, index)
        for person, before, after in zip(("focus", "other"), shot.roles, shot.change.roles, strict=False):
            assert (asked[f"{person}.action"] == -1) == (before.action != after.action)
            assert stated[f"{person}.action"] == (before.action == after.action)
