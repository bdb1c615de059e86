from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.data.world.spec import COLOURS, KINDS, PLACES, TIMES, WEATHERS
from shotstream.data.world.stories import is_held_out_light, is_held_out_look, make_story, split_of_story

SEEDS = st.integers(0, 2**63 - 1)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_training_contains_no_held_out_combination(seed: int) -> None:
    story = make_story(seed, split="train")
    assert not any(is_held_out_look(one.kind, one.colour) for one in story.characters)
    assert not any(is_held_out_light(story.places[shot.place].kind, shot.time, shot.weather) for shot in story.shots)
    assert split_of_story(story) == "train"


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_held_out_stories_contain_at_least_one(seed: int) -> None:
    story = make_story(seed, split="held-out")
    looks = [is_held_out_look(one.kind, one.colour) for one in story.characters]
    lights = [is_held_out_light(story.places[shot.place].kind, shot.time, shot.weather) for shot in story.shots]
    assert any(looks + lights)
    assert split_of_story(story) == "held-out"


def test_how_much_is_held_out() -> None:
    looks = [(kind, colour) for kind in KINDS for colour in COLOURS if is_held_out_look(kind, colour)]
    lights = [
        (place, time, weather)
        for place in PLACES
        for time in TIMES
        for weather in WEATHERS
        if is_held_out_light(place, time, weather)
    ]
    assert len(looks) == 8 and len({colour for _, colour in looks}) == 8  # one kind and one colour each
    assert len(lights) == 8 and len({place for place, _, _ in lights}) == 8
    assert ("day", "clear") not in {(time, weather) for _, time, weather in lights}


def test_every_part_of_a_held_out_combination_is_common_in_training() -> None:
    stories = [make_story(seed) for seed in range(400)]
    assert {one.kind for story in stories for one in story.characters} == set(KINDS)
    assert {one.colour for story in stories for one in story.characters} == set(COLOURS)
    lights = {(story.places[shot.place].kind, shot.time, shot.weather) for story in stories for shot in story.shots}
    assert len(lights) == len(PLACES) * len(TIMES) * len(WEATHERS) - 8


def test_the_example_of_the_handbook_is_a_training_combination() -> None:
    assert not is_held_out_look("fox", "red")
    assert not is_held_out_light("forest", "night", "snow")
