"""A story's limits, its defaults, its schema."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import MAX_SECONDS, MIN_SECONDS, Shot, Story, make_story
from shotstream.core.story_schema import make_schema, shipped_schema

GEOMETRY = Geometry(width=256, height=160, spatial=16, latent_channels=4)


def story(**shot: object) -> dict[str, object]:
    return {"global_caption": "A fox.", "shots": [{"caption": "It walks.", **shot}]}


def test_defaults() -> None:
    made = make_story(story())
    assert made == Story(global_caption="A fox.", seed=0, shots=(Shot(caption="It walks."),))
    assert GEOMETRY.shot_frames(made.shots[0].blocks(GEOMETRY)) == 33


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.3, 9), (0.56, 9), (1.3, 21), (2.0, 33), (2.06, 33), (5.0625, 81), (5.5, 81)]
)
def test_seconds_become_whole_blocks(seconds: float, frames: int) -> None:
    shot = make_story(story(seconds=seconds)).shots[0]
    assert GEOMETRY.shot_frames(shot.blocks(GEOMETRY)) == frames


@settings(deadline=None)
@given(st.floats(MIN_SECONDS, MAX_SECONDS))
def test_the_nearest_length_is_never_more_than_half_a_block_away(seconds: float) -> None:
    blocks = make_story(story(seconds=seconds)).shots[0].blocks(GEOMETRY)
    assert 1 <= blocks <= GEOMETRY.max_blocks
    longest = GEOMETRY.shot_seconds(GEOMETRY.max_blocks)
    assert abs(GEOMETRY.shot_seconds(blocks) - min(seconds, longest)) <= 6 / 16 + 1e-9


@pytest.mark.parametrize("seconds", [0, -1, 0.29, 5.51, 1e308, float("nan"), float("inf"), 10**400, True, "2", [2], {}])
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
        (story(seconds=9), False),
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
