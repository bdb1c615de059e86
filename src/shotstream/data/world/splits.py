"""What training never sees: combinations held out by construction.

Every kind has one colour, and every place one light, that no training story contains. Each part
(the kind, the colour, the place, the time, the weather) is common in training; only the combination
is new. Natural combinations (a red fox, a white bear, a green frog, anywhere on a clear day) stay in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shotstream.data.world.spec import Character, Colour, Kind, Place, PlaceKind, Time, Weather, WorldShot, WorldStory

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
