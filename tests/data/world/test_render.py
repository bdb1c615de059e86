"""The drawn world: deterministic, complete, and its truth agrees with its pixels."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shotstream.data.world.motion import SIDE, SPEEDS, Camera, camera_at, place_of, pose_at
from shotstream.data.world.render import ShotPainter, clip_box, render_shot
from shotstream.data.world.spec import (
    ACCESSORIES,
    ACTIONS,
    COLOURS,
    FRAMINGS,
    KINDS,
    LANDMARKS,
    PATTERNS,
    PLACES,
    THIRDS,
    TIMES,
    WEATHERS,
    WORLD_VERSION,
    Accessory,
    Action,
    Character,
    Framing,
    Place,
    Role,
    ShotChange,
    Time,
    Weather,
    WorldShot,
    WorldStory,
)
from shotstream.data.world.stage import Stage
from shotstream.data.world.stories import make_story as story_of

SIZE = {"width": 128, "height": 80, "fps": 16}


def make_story(
    seed: int,
    *,
    framing: Framing = "wide",
    action: Action = "stand",
    time: Time = "day",
    weather: Weather = "clear",
    cast: int = 1,
    accessories: bool = True,
    direction: str = "right",
) -> WorldStory:
    """One shot; whatever is not asked for is drawn from the seed."""
    chance = random.Random(seed)
    characters = tuple(
        Character(
            kind=KINDS[(seed + 3 * index) % len(KINDS)],
            colour=chance.choice(COLOURS),
            accessories=tuple(
                Accessory(kind=kind, colour=chance.choice(COLOURS)) for kind in chance.sample(ACCESSORIES, 2)
            )
            if accessories
            else (),
            pattern=chance.choice(PATTERNS),
            pattern_colour=chance.choice(COLOURS),
        )
        for index in range(cast)
    )
    place = Place(
        kind=PLACES[seed % len(PLACES)],
        layout=seed,
        landmark=LANDMARKS[seed % len(LANDMARKS)],
        landmark_colour=chance.choice(COLOURS),
        landmark_third=chance.choice(THIRDS),
    )
    shot = WorldShot(
        place=0,
        time=time,
        weather=weather,
        framing=framing,
        pan="right" if framing == "pan" else None,
        zoom="in" if framing == "zoom" else None,
        roles=tuple(Role(character=index, action=action, direction=direction) for index in range(cast)),  # type: ignore[arg-type]
        seconds=2.0,
        caption="A shot.",
    )
    return WorldStory(seed=seed, characters=characters, places=(place,), global_caption="A story.", shots=(shot,))


def test_same_story_same_bytes_whatever_else_is_asked_for() -> None:
    for seed, framing in enumerate(FRAMINGS):
        story = make_story(seed, framing=framing, action="dance", weather="rain", cast=2)
        whole, truths = render_shot(story, 0, frames=9, **SIZE)
        part, part_truths = render_shot(story, 0, frames=range(4, 9, 2), **SIZE)
        assert whole.dtype == np.uint8 and whole.shape == (9, 80, 128, 3)
        assert np.array_equal(whole[4::2], part)
        assert truths[4::2] == part_truths


@pytest.mark.parametrize(("time", "weather"), list(itertools.product(TIMES, WEATHERS)))
def test_every_light_in_every_place(time: Time, weather: Weather) -> None:
    means = []
    for seed in range(len(PLACES)):
        video, _ = render_shot(make_story(seed, time=time, weather=weather), 0, frames=1, **SIZE)
        means.append(video.mean())
        assert video.std() > 15
    assert (np.mean(means) < 120) == (time == "night")


@pytest.mark.parametrize(("action", "framing"), list(itertools.product(ACTIONS, FRAMINGS)))
def test_cast_stays_in_the_picture_for_five_seconds(action: Action, framing: Framing) -> None:
    for seed, direction in ((0, "left"), (5, "right")):
        story = make_story(seed, framing=framing, action=action, accessories=False, direction=direction)
        _, truths = render_shot(story, 0, frames=range(0, 82, 27), **SIZE)
        for truth in truths:
            (seen,) = truth.characters
            left, top, right, bottom = seen.box
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
            assert 0.1 < seen.visible <= 1


def test_heights_follow_the_framing() -> None:
    for seed in range(len(KINDS)):
        heights = {}
        for framing in ("wide", "medium"):
            story = make_story(seed, framing=framing, accessories=False)  # type: ignore[arg-type]
            _, truths = render_shot(story, 0, frames=1, width=256, height=160, fps=16)
            box = truths[0].characters[0].box
            heights[framing] = box[3] - box[1]
        assert 0.47 < heights["wide"] < 0.64
        assert heights["medium"] == pytest.approx(1.4 * heights["wide"], rel=0.02)


def test_box_is_where_the_character_is() -> None:
    """The pixels that two coats of the same story do not share span the box."""
    story = make_story(3, accessories=False)
    recoloured = []
    for colour in ("red", "blue"):
        character = Character(
            kind="bear",
            colour=colour,
            accessories=(),
            pattern="plain",
            pattern_colour="white",  # type: ignore[arg-type]
        )
        twin = WorldStory(
            seed=3, characters=(character,), places=story.places, global_caption="A story.", shots=story.shots
        )
        video, truths = render_shot(twin, 0, frames=1, width=512, height=320, fps=16)
        recoloured.append(video[0].astype(int))
    rows, columns = np.nonzero(np.abs(recoloured[0] - recoloured[1]).sum(-1) > 24)
    left, top, right, bottom = truths[0].characters[0].box
    found = (columns.min() / 512, rows.min() / 320, (columns.max() + 1) / 512, (rows.max() + 1) / 320)
    assert found == pytest.approx((left, top, right, bottom), abs=0.008)


def test_each_side_is_kept_and_directions_move() -> None:
    story = make_story(1, cast=2)
    left, right = (place_of(story, story.shots[0], role, 0.0, 1.6) for role in story.shots[0].roles)
    assert (left, right) == (-SIDE, SIDE)
    for direction, way in (("left", -1), ("right", 1)):
        walking = make_story(1, action="walk", direction=direction)
        shot = walking.shots[0]
        steps = [place_of(walking, shot, shot.roles[0], time, 1.6) for time in (0.0, 1.0, 2.0)]
        assert np.diff(steps) == pytest.approx([SPEEDS["walk"] * way] * 2)


def test_two_in_a_wide_picture_are_both_seen_and_hardly_overlap() -> None:
    for one, two in itertools.product(ACTIONS, ACTIONS):
        if one in SPEEDS and two in SPEEDS and one != two:
            continue  # two that move go together
        for directions in itertools.product(("left", "right"), repeat=2):
            if one in SPEEDS and two in SPEEDS and directions[0] != directions[1]:
                continue
            story = make_story(1, cast=2, accessories=False)
            roles = tuple(
                Role(character=index, action=action, direction=direction)  # type: ignore[arg-type]
                for index, (action, direction) in enumerate(zip((one, two), directions, strict=True))
            )
            story = replace(story, shots=(replace(story.shots[0], roles=roles),))
            painter = ShotPainter(story, 0, 256, 160)
            for time in (0.0, 1.0, 2.0):
                first, second = painter.seen_at(time)
                assert min(first.visible, second.visible) > 0.6, roles
                shared = min(first.box[2], second.box[2]) - max(first.box[0], second.box[0])
                narrower = min(one.box[2] - one.box[0] for one in (first, second))
                assert shared < 0.4 * narrower, (roles, time)


def test_rain_and_snow_fall_alike_in_every_shot() -> None:
    for weather in ("rain", "snow"):
        falls = []
        for seed in (4, 5):
            painter = ShotPainter(make_story(seed, weather=weather, framing="medium"), 0, 128, 80)  # type: ignore[arg-type]
            painter.pixels[:] = 0
            painter.weather.draw(painter.surface.getCanvas(), 1.3)
            falls.append(painter.pixels.copy())
        assert np.array_equal(*falls) and falls[0].any()


def test_a_spin_is_never_a_sliver_and_shows_the_back_half_of_the_time() -> None:
    turns = np.array([pose_at("spin", frame / 16).turn for frame in range(400)])
    assert abs(turns).min() >= 0.5
    assert 0.45 < (turns < 0).mean() < 0.55


def test_a_change_is_drawn_from_its_first_frame_on_and_nobody_jumps_there() -> None:
    story = make_story(2, action="walk", accessories=False)
    shot = story.shots[0]
    change = ShotChange(seconds=1.3125, roles=(replace(shot.roles[0], action="dance"),), caption="Now it dances.")
    changed = replace(story, shots=(replace(shot, change=change),))
    _, truths = render_shot(changed, 0, frames=33, **SIZE)
    assert [truth.characters[0].action for truth in truths] == ["walk"] * 21 + ["dance"] * 12
    plain, _ = render_shot(story, 0, frames=21, **SIZE)
    assert np.array_equal(render_shot(changed, 0, frames=21, **SIZE)[0], plain)
    spec = changed.shots[0]
    places = [place_of(changed, spec, spec.roles[0], frame / 16, 1.6) for frame in range(33)]
    assert np.diff(places) == pytest.approx([SPEEDS["walk"] / 16] * 21 + [0.0] * 11)


def test_cameras_move_at_constant_rates() -> None:
    pan, zoom = make_story(0, framing="pan"), make_story(0, framing="zoom")
    xs = [camera_at(pan, pan.shots[0], time, 1.6).x for time in (0.0, 1.0, 2.0)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1]) and xs[1] > xs[0]
    zooms = [camera_at(zoom, zoom.shots[0], time, 1.6).zoom for time in (0.0, 1.0, 2.0)]
    assert zooms[0] == 1.0 and zooms[1] / zooms[0] == pytest.approx(zooms[2] / zooms[1])


def test_poses_do_not_jump_between_frames() -> None:
    for action in ACTIONS:
        lifts = [pose_at(action, frame / 64).lift for frame in range(320)]
        assert max(abs(np.diff(lifts))) < 0.05


def test_all_sizes_show_the_same_picture() -> None:
    story = make_story(6, framing="medium")
    small, _ = render_shot(story, 0, frames=1, width=128, height=80, fps=16)
    large, _ = render_shot(story, 0, frames=1, width=512, height=320, fps=16)
    shrunk = large[0].reshape(80, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small[0]).mean() < 4
    wide, _ = render_shot(story, 0, frames=1, width=208, height=120, fps=16)
    assert wide.shape == (1, 120, 208, 3)


def test_clip_box() -> None:
    assert clip_box((-10, 0, 10, 10), 20, 20) == ((0.0, 0.0, 0.5, 0.5), 0.5)
    assert clip_box((30, 0, 40, 10), 20, 20)[1] == 0.0


def test_what_the_ground_hides_need_not_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of moving cameras are the same to the bit as with every layer drawn in full."""
    stories = [story_of(seed) for seed in range(12)]
    moving = [(s, i) for s in stories for i, shot in enumerate(s.shots) if shot.framing in ("pan", "zoom")]
    assert {story.shots[index].framing for story, index in moving} == {"pan", "zoom"}

    def frames() -> list[np.ndarray]:
        return [
            render_shot(story, index, frames=range(0, 81, 27), width=256, height=160, fps=16)[0]
            for story, index in moving
        ]

    quick = frames()
    hidden: list[int] = []

    def everything(stage: Stage, camera: Camera) -> int:
        hidden.append(stage.height - original(stage, camera))
        return stage.height

    original = Stage._hidden_from
    monkeypatch.setattr(Stage, "_hidden_from", everything)
    for one, whole in zip(quick, frames(), strict=True):
        np.testing.assert_array_equal(one, whole)
    assert np.mean(hidden) > 20


def test_the_world_looks_as_it_did_when_the_weights_were_trained() -> None:
    """Each kind of place, character and landmark once, as means of 16x16 pixels. Another look needs another world."""
    known = json.loads((Path(__file__).parent / "look.json").read_text())
    assert known["world"] == WORLD_VERSION
    for seed, told in enumerate(known["means"]):
        video, _ = render_shot(make_story(seed, framing="wide", action="wave"), 0, frames=1, **SIZE)
        means = video[0].reshape(5, 16, 8, 16, 3).mean(axis=(1, 3))
        assert np.abs(means - np.frombuffer(bytes.fromhex(told), np.uint8).reshape(5, 8, 3)).max() < 3, PLACES[seed]
