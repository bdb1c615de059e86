"""A story's limits, its defaults, its schema."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import MAX_SECONDS, MIN_SECONDS, Shot, Story, make_schema, make_story, shipped_schema

GEOMETRY = Geometry(width=256, height=160, spatial=16, latent_channels=4)


def story(**shot: object) -> dict[str, object]:
    return {"global_caption": "A fox.", "shots": [{"caption": "It walks.", **shot}]}


def test_defaults() -> None:
    made = make_story(story())
    assert made == Story(global_caption="A fox.", seed=0, shots=(Shot(caption="It walks."),))
    assert GEOMETRY.shot_frames(made.shots[0].blocks(GEOMETRY)) == 33


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(0.3, 9), (0.56, 9), (1.3, 21), (2.0, 33), (2.06, 33), (5.0625, 81), (5.5, 93), (8.0, 129), (60.0, 957)],
)
def test_seconds_become_whole_blocks(seconds: float, frames: int) -> None:
    shot = make_story(story(seconds=seconds)).shots[0]
    assert GEOMETRY.shot_frames(shot.blocks(GEOMETRY)) == frames


@settings(deadline=None)
@given(st.floats(MIN_SECONDS, MAX_SECONDS))
def test_the_nearest_length_is_never_more_than_half_a_block_away(seconds: float) -> None:
    blocks = make_story(story(seconds=seconds)).shots[0].blocks(GEOMETRY)
    assert blocks >= 1
    assert abs(GEOMETRY.shot_seconds(blocks) - seconds) <= 6 / 16 + 1e-9


@pytest.mark.parametrize("seconds", [0, -1, 0.29, 60.1, 1e308, float("nan"), float("inf"), 10**400, True, "2", [2], {}])
def test_impossible_lengths(seconds: object) -> None:
    with pytest.raises(InputError, match=r"shots\[0\]\.seconds") as caught:
        make_story(story(seconds=seconds))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "7", 10**4000])
def test_impossible_seeds(seed: object) -> None:
    with pytest.raises(InputError, match="seed"):
        make_story({**story(), "seed": seed})


@pytest.mark.parametrize("caption", ["", "  \n", None, 42, [], "bell \x07", "x" * 10_001, "half \ud83d"])
def test_impossible_captions(caption: object) -> None:
    with pytest.raises(InputError, match=r"shots\[0\]\.caption") as caught:
        make_story(story(caption=caption))
    assert len(str(caught.value)) < 200


def test_the_first_fault_in_reading_order_is_named() -> None:
    data = {"global_caption": "A fox.", "shots": [{"caption": "ok"}, {"caption": ""}], "sed": 3}
    lines = {("shots",): 2, ("shots", 1): 4, ("shots", 1, "caption"): 4, ("sed",): 5}
    with pytest.raises(InputError, match=r"^s.yaml, line 4: shots\[1\]\.caption is blank"):
        make_story(data, "s.yaml", lines)


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown key 'captoin'; did you mean 'caption'"):
        make_story(story(captoin="x"))


def test_the_shipped_schema_is_current() -> None:
    assert shipped_schema() == make_schema(), "write make_schema() to story.schema.json"


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (story(), True),
        (story(seconds=2, seed=3), True),
        (story(seconds=61), False),
        (story(clip="mine.mp4"), True),
        (story(clip={"file": "mine.mp4", "start": 0.5, "stop": 2}), True),
        (story(clip={"start": 0.5}), False),
        (story(clip={"file": "mine.mp4", "start": -1}), False),
        (story(clip=3), False),
        (story(endless=True, seconds=2), True),
        (story(endless="yes"), False),
        ({**story(), "references": [{"caption": "the fox: a red fox", "picture": "fox.png"}]}, True),
        ({**story(), "references": [{"caption": "the fox: a red fox"}]}, False),
        (story(caption=" "), False),
        ({**story(), "colour": 1}, False),
        ({"global_caption": "A fox.", "shots": []}, False),
        ({"shots": [{"caption": "x"}]}, False),
    ],
)
def test_schema_and_reader_agree(data: dict[str, object], good: bool) -> None:
    valid = jsonschema.Draft202012Validator(json.loads(shipped_schema())).is_valid(data)
    assert valid == good
    if good:
        make_story(data)
    else:
        with pytest.raises(InputError):
            make_story(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (story(clip=3), r"shots\[0\]\.clip must be a file, or file, start and stop, not 3"),
        (story(clip={"path": "a"}), r"unknown key 'path'; known keys: file, start, stop"),
        (story(clip={"file": "a", "start": "now"}), r"clip\.start must be a number of seconds, 0 or more, not 'now'"),
        (story(clip={"file": "a", "start": 2, "stop": 1}), r"clip stops before it has begun; give a later stop"),
        (
            story(clip="a", changes=[{"seconds": 1, "caption": "x"}]),
            "has a clip, which .* nothing changes, and changes",
        ),
        (story(video="a"), r"unknown key 'video'; did you mean 'clip'"),
        (
            {**story(), "references": [{"caption": "a red fox", "picture": "a"}]},
            r"references\[0\]\.caption names nothing",
        ),
        (
            {**story(), "references": "fox.png"},
            "references must be a list of at most 20 mappings with caption and picture",
        ),
        (
            {**story(), "references": [{"caption": "owl: it", "image": "a"}]},
            r"unknown key 'image'; known keys: caption, pic",
        ),
    ],
)
def test_what_is_wrong_with_footage_of_ones_own_is_said(data: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_story(data)


LATER = [{"seconds": 9, "caption": "x"}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (story(endless="yes"), r"shots\[0\]\.endless must be true or false, not 'yes'"),
        (story(seconds="Endless"), r"shots\[0\]\.seconds is 'Endless'; leave it out, and write endless: true"),
        (story(until_cut=True), "unknown key 'until_cut'; did you mean 'endless'"),
        (story(endless=True, clip="a"), r"shots\[0\] has a clip, which has an end .* or endless; leave out"),
        (story(seconds=3, changes=LATER), "has a change when it is over"),
        (
            {"global_caption": "x", "shots": [{"caption": "a"}, {"caption": "b", "endless": True}, {"caption": "c"}]},
            "shots has an endless shot, number 1, that others wait behind, .* only the last may be so",
        ),
    ],
)
def test_what_is_wrong_with_an_endless_shot_is_said(data: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_story(data)


def test_an_endless_shot_may_change_whenever_and_is_not_rendered() -> None:
    endless = make_story(story(endless=True, seconds=3, changes=LATER))
    assert make_story(endless.model_dump()) == endless and make_story(story()).finite() == make_story(story())
    with pytest.raises(InputError, match=r"fox.yaml: shots\[0\] is endless, and what is rendered needs an end; leave"):
        endless.finite("fox.yaml")
