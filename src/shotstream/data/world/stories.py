"""Makes stories of the procedural world from a seed: characters, itinerary, shot list, captions.

Some combinations are never in training: every kind has one colour, and every place one light, that no training
story contains. Each part (the kind, the colour, the place, the time, the weather) is common in training; only the
combination is new. Natural combinations (a red fox, a white bear, a green frog, anywhere on a clear day) stay in
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Literal, get_args

from pydantic import Field, model_validator

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.randomness import derive
from shotstream.data.world.captions import caption_story
from shotstream.data.world.shots import make_change, make_itinerary, make_shots
from shotstream.data.world.spec import (
    ACCESSORIES,
    COLOURS,
    KINDS,
    PATTERNS,
    Accessory,
    AccessoryKind,
    Character,
    Colour,
    Kind,
    Place,
    PlaceKind,
    Time,
    Weather,
    WorldShot,
    WorldStory,
)

Split = Literal["train", "held-out"]

HELD_OUT_COLOURS: dict[Kind, Colour] = {
    "fox": "purple",
    "rabbit": "green",
    "bear": "yellow",
    "cat": "blue",
    "penguin": "orange",
    "owl": "pink",
    "frog": "white",
    "robot": "red",
}
HELD_OUT_LIGHTS: dict[PlaceKind, tuple[Time, Weather]] = {
    "forest": ("sunset", "rain"),
    "meadow": ("night", "rain"),
    "beach": ("day", "snow"),
    "mountains": ("night", "clear"),
    "village": ("sunset", "snow"),
    "desert": ("day", "rain"),
    "castle": ("sunset", "clear"),
    "city": ("night", "snow"),
}


def is_held_out_look(kind: Kind, colour: Colour) -> bool:
    """Is a character of this kind in this colour kept out of training?"""
    return HELD_OUT_COLOURS[kind] == colour


def is_held_out_light(place: PlaceKind, time: Time, weather: Weather) -> bool:
    """Is this place in this light kept out of training?"""
    return HELD_OUT_LIGHTS[place] == (time, weather)


def split_of(characters: Sequence[Character], places: Sequence[Place], shots: Sequence[WorldShot]) -> Split:
    """The split that a story made of these belongs to: "held-out" as soon as one combination is."""
    new_look = any(is_held_out_look(one.kind, one.colour) for one in characters)
    new_light = any(is_held_out_light(places[shot.place].kind, shot.time, shot.weather) for shot in shots)
    return "held-out" if new_look or new_light else "train"


def split_of_story(story: WorldStory) -> Split:
    """The split ``story`` belongs to."""
    return split_of(story.characters, story.places, story.shots)


HEADWEAR: frozenset[AccessoryKind] = frozenset({"hat", "crown", "bow"})  # at most one: they would hide each other


def make_cast(rng: Random, size: int, *, stated: float) -> tuple[Character, ...]:
    """``size`` characters of different kinds. ``stated``: the probability that an accessory is named by captions."""
    return tuple(_character(rng, kind, stated) for kind in rng.sample(KINDS, size))


def _outfit(rng: Random, count: int) -> list[AccessoryKind]:
    while True:
        outfit = rng.sample(ACCESSORIES, count)
        if len(HEADWEAR.intersection(outfit)) <= 1:
            return outfit


def _character(rng: Random, kind: Kind, stated: float) -> Character:
    colour = rng.choice(COLOURS)
    others: list[Colour] = [one for one in COLOURS if one != colour]
    count = rng.choices((0, 1, 2), weights=(2, 5, 3))[0]
    accessories = tuple(
        Accessory(kind=worn, colour=hue, stated=rng.random() < stated)
        for worn, hue in zip(_outfit(rng, count), rng.sample(others, count), strict=True)
    )
    return Character(
        kind=kind,
        colour=colour,
        accessories=accessories,
        pattern=rng.choice(PATTERNS),
        pattern_colour=rng.choice(others),
    )


MAX_SHOTS = 48


class StoryStyle(Config):
    """What stories are made of on average. Probabilities are in [0, 1], weights relative."""

    shot_weights: tuple[float, ...] = (0, 6, 20, 26, 24, 16, 5, 3)  # of 1, 2, ... 8 shots
    pairs: float = Field(default=0.4, ge=0, le=1)  # stories with two characters
    stated: float = Field(default=0.65, ge=0, le=1)  # accessories that captions name
    # Durations and their weights; the defaults are 1 to 7 blocks of 3 latent frames at 16 frames/s.
    seconds: tuple[float, ...] = (0.5625, 1.3125, 2.0625, 2.8125, 3.5625, 4.3125, 5.0625)
    seconds_weights: tuple[float, ...] = (18, 25, 37, 5, 6, 5, 4)
    # Shots with an action that changes in mid-shot, of those that can; their later frames have a caption of their own.
    changes: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> StoryStyle:
        if not 1 <= len(self.shot_weights) <= MAX_SHOTS:
            raise ValueError(f"{len(self.shot_weights)} shot_weights; give one for each of 1 to {MAX_SHOTS} shots")
        if len(self.seconds) != len(self.seconds_weights):
            raise ValueError(f"{len(self.seconds)} seconds but {len(self.seconds_weights)} seconds_weights")
        return self


TRAINING_STYLE = StoryStyle(changes=0.1)  # of the stories that the text encoder and the transformers learn from


def make_story(
    seed: int, *, split: Split = "train", shots: int | None = None, style: StoryStyle | None = None
) -> WorldStory:
    """The story called ``seed``: the same arguments give the same story on every machine.

    ``shots``: 1 to 48; drawn from the style when None. Plans that belong to the other split are drawn
    again, which makes pairs and many places a little rarer in training. Raises :class:`InputError` for
    another number of shots, and for another split.
    """
    style = style or StoryStyle()
    if split not in get_args(Split):
        raise InputError(f"split={split!r:.40}: a story of the world is of one of {', '.join(get_args(Split))}")
    if shots is not None and not 1 <= shots <= MAX_SHOTS:
        raise InputError(f"shots={shots}: a story of the world has 1 to {MAX_SHOTS} shots")
    plans = (_plan(Random(derive(seed, "world", split, attempt)), seed, shots, style) for attempt in count())
    story = next(plan for plan in plans if split_of_story(plan) == split)
    return captioned(_changing(story, style) if style.changes else story)


def captioned(story: WorldStory) -> WorldStory:
    """``story`` with its captions written. They depend on its seed and on what it shows."""
    captions = caption_story(story)
    shots = []
    for shot, caption, later in zip(story.shots, captions.shots, captions.changes, strict=True):
        change = replace(shot.change, caption=later.text) if shot.change and later else None
        shots.append(replace(shot, caption=caption.text, change=change))
    return replace(story, global_caption=captions.whole.text, shots=tuple(shots))


def _changing(story: WorldStory, style: StoryStyle) -> WorldStory:
    """``story`` with changes in the share of its shots that the style asks for.

    Only shots whose captions tell everybody's action change, and only where a block of frames begins, which is
    how long a shorter shot would be.
    """
    shots = []
    for index, (shot, caption) in enumerate(zip(story.shots, caption_story(story).shots, strict=True)):
        rng = Random(derive(story.seed, "change", index))
        told = all((role.character, "action") in caption.told.cast for role in shot.roles)
        moments = [seconds for seconds in style.seconds if seconds < shot.seconds]
        change = make_change(rng, shot, moments) if told and moments and rng.random() < style.changes else None
        shots.append(replace(shot, change=change))
    return replace(story, shots=tuple(shots))


def _plan(rng: Random, seed: int, shots: int | None, style: StoryStyle) -> WorldStory:
    number = shots or rng.choices(range(1, len(style.shot_weights) + 1), weights=style.shot_weights)[0]
    characters = make_cast(rng, 2 if rng.random() < style.pairs else 1, stated=style.stated)
    itinerary = make_itinerary(rng, number)
    return WorldStory(
        seed=seed,
        characters=characters,
        places=itinerary.places,
        global_caption="",
        shots=make_shots(rng, itinerary, len(characters), style.seconds, style.seconds_weights),
    )
