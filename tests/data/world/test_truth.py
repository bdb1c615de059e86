from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.data.world.spec import Accessory, Character, Place, Role, WorldShot, WorldStory
from shotstream.data.world.stories import captioned, make_story
from shotstream.data.world.truth import (
    ASKED,
    UNSTATED,
    asked_attributes,
    label,
    read_attributes,
    stated_attributes,
    unstated_details,
)
from shotstream.data.world.wording import voice_of

STORIES = st.builds(make_story, st.integers(0, 2**63 - 1), split=st.sampled_from(("train", "held-out")))

FOX = Character(
    kind="fox",
    colour="red",
    accessories=(Accessory(kind="hat", colour="blue"), Accessory(kind="balloon", colour="green", stated=False)),
    pattern="stripes",
    pattern_colour="white",
)
OWL = Character(kind="owl", colour="white", accessories=(), pattern="plain", pattern_colour="pink")
FOREST = Place(kind="forest", layout=1, landmark="windmill", landmark_colour="pink", landmark_third="right")
MEETING = WorldShot(
    place=0,
    time="night",
    weather="snow",
    framing="pan",
    pan="left",
    roles=(
        Role(character=0, action="wave", direction="right"),
        Role(character=1, action="sleep", direction="left"),
    ),
    seconds=2.0625,
    caption="",
)
PORTRAIT = replace(MEETING, framing="close-up", pan=None, roles=(Role(character=1, action="stand", direction="left"),))
STORY = captioned(
    WorldStory(seed=1, characters=(FOX, OWL), places=(FOREST,), global_caption="", shots=(MEETING, PORTRAIT))
)


def test_asked_attributes_of_a_story_made_by_hand() -> None:
    asked = asked_attributes(STORY, 0)
    expected = {
        "place": "forest",
        "time": "night",
        "weather": "snow",
        "framing": "pan",
        "pan": "left",
        "count": "two",
        "focus.kind": "fox",
        "focus.colour": "red",
        "focus.hat": "blue",
        "focus.balloon": "green",
        "focus.crown": "none",
        "focus.action": "wave",
        "focus.direction": "right",
        "other.kind": "owl",
        "other.hat": "none",
        "other.action": "sleep",
        "other.direction": "left",
    }
    assert {name: asked[name] for name in expected} == {name: label(name, one) for name, one in expected.items()}
    assert asked["zoom"] == -1


def test_a_portrait_asks_about_the_one_it_shows() -> None:
    asked = asked_attributes(STORY, 1)
    assert asked["focus.kind"] == label("focus.kind", "owl")
    assert asked["count"] == label("count", "one")
    assert {value for name, value in asked.items() if name.startswith("other.")} == {-1}
    assert asked["pan"] == -1


def test_unstated_details_of_a_story_made_by_hand() -> None:
    details = unstated_details(STORY, 0)
    expected = {
        "landmark": "windmill",
        "landmark colour": "pink",
        "landmark third": "right",
        "focus.pattern": "stripes",
        "focus.pattern colour": "white",
        "focus.balloon": "green",
        "focus.scarf": "none",
        "other.pattern": "plain",
    }
    classes = {attribute.name: attribute.classes for attribute in UNSTATED}
    assert {name: classes[name][details[name]] for name in expected} == expected
    assert details["focus.hat"] == -1


@settings(max_examples=80, deadline=None)
@given(STORIES)
def test_labels_are_within_their_classes(story: WorldStory) -> None:
    for shot in range(len(story.shots)):
        for attributes, labels in ((ASKED, asked_attributes(story, shot)), (UNSTATED, unstated_details(story, shot))):
            assert list(labels) == [attribute.name for attribute in attributes]
            assert all(-1 <= labels[attribute.name] < len(attribute.classes) for attribute in attributes)


@settings(max_examples=80, deadline=None)
@given(STORIES)
def test_a_reader_of_the_captions_is_right_about_what_they_state(story: WorldStory) -> None:
    for shot in range(len(story.shots)):
        asked, stated, read = (ask(story, shot) for ask in (asked_attributes, stated_attributes, read_attributes))
        assert list(stated) == list(read) == [attribute.name for attribute in ASKED]
        for name, said in stated.items():
            if said:
                assert read[name] == asked[name] != -1


@settings(max_examples=80, deadline=None)
@given(STORIES)
def test_unstated_accessories_are_never_stated_but_asked(story: WorldStory) -> None:
    for index, shot in enumerate(story.shots):
        asked, stated, hidden = (ask(story, index) for ask in (asked_attributes, stated_attributes, unstated_details))
        for person, role in zip(("focus", "other"), shot.roles, strict=False):
            for accessory in story.characters[role.character].accessories:
                name = f"{person}.{accessory.kind}"
                assert asked[name] == label(name, accessory.colour)
                assert hidden[name] == (-1 if accessory.stated else asked[name])
                assert accessory.stated or not stated[name]


def test_regular_stories_leave_no_light_or_place_to_guess() -> None:
    for seed in range(300):
        story = make_story(seed)
        if voice_of(story).memory != "none":
            continue
        for shot in range(len(story.shots)):
            asked, read = asked_attributes(story, shot), read_attributes(story, shot)
            assert all(read[name] == asked[name] for name in ("place", "time", "weather", "focus.kind", "focus.colour"))


def test_a_label_for_an_answer_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="tuple"):
        label("place", "kitchen")
