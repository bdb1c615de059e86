"""Exact annotations: what a story's shots show, what captions state, and what only context can tell.

Answers are integer labels of named attributes. Per-character attributes come twice: ``focus.*`` for the
first role of a shot, ``other.*`` for the second, -1 when there is none. In a shot of two, ``focus`` is the
one the global caption names first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from shotstream.data.world.captions import caption_story
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
    Direction,
    Role,
    Told,
    WorldShot,
    WorldStory,
    ZoomDirection,
)

NOT_APPLICABLE = -1
NONE = "none"
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
ZOOMS: tuple[ZoomDirection, ...] = get_args(ZoomDirection)
PERSONS = ("focus", "other")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A question with a fixed list of answers; a label is an index into ``classes``."""

    name: str
    classes: tuple[str, ...]


def _person(person: str) -> tuple[Attribute, ...]:
    worn = tuple(Attribute(f"{person}.{kind}", (NONE, *COLOURS)) for kind in ACCESSORIES)
    return (
        Attribute(f"{person}.kind", KINDS),
        Attribute(f"{person}.colour", COLOURS),
        *worn,
        Attribute(f"{person}.action", ACTIONS),
        Attribute(f"{person}.direction", DIRECTIONS),
    )


# What a recogniser is asked of a shot's frames. An accessory's classes are "none" and its colour.
ASKED: tuple[Attribute, ...] = (
    Attribute("place", PLACES),
    Attribute("time", TIMES),
    Attribute("weather", WEATHERS),
    Attribute("framing", FRAMINGS),
    Attribute("pan", DIRECTIONS),
    Attribute("zoom", ZOOMS),
    Attribute("count", ("one", "two")),
    *(attribute for person in PERSONS for attribute in _person(person)),
)
# What no caption ever names: later shots can only take it from earlier ones.
UNSTATED: tuple[Attribute, ...] = (
    Attribute("landmark", LANDMARKS),
    Attribute("landmark colour", COLOURS),
    Attribute("landmark third", THIRDS),
    *(
        attribute
        for person in PERSONS
        for attribute in (
            Attribute(f"{person}.pattern", PATTERNS),
            Attribute(f"{person}.pattern colour", COLOURS),
            *(Attribute(f"{person}.{kind}", (NONE, *COLOURS)) for kind in ACCESSORIES),
        )
    ),
)
_CLASSES = {attribute.name: attribute.classes for attribute in (*ASKED, *UNSTATED)}


def asked_attributes(story: WorldStory, shot: int, time: float | None = None) -> dict[str, int]:
    """What shot number ``shot`` shows: a label for every attribute of :data:`ASKED`, -1 where it does not apply.

    Accessories count whether or not captions name them: this is what is to be seen. ``time``: seconds into the
    shot. Without it, of the shot as a whole, of which an action that changes in it is no attribute: -1.
    """
    spec = story.shots[shot]
    then = spec if time is None else spec.at(time)
    answers: dict[str, str | None] = {
        "place": story.places[spec.place].kind,
        "time": spec.time,
        "weather": spec.weather,
        "framing": spec.framing,
        "pan": spec.pan,
        "zoom": spec.zoom,
        "count": ("one", "two")[len(spec.roles) - 1],
    }
    for (person, role), later in zip(_persons(then), then.change.roles if then.change else then.roles, strict=True):
        worn = {one.kind: one.colour for one in story.characters[role.character].accessories}
        answers |= {f"{person}.{kind}": worn.get(kind, NONE) for kind in ACCESSORIES}
        answers |= {
            f"{person}.kind": story.characters[role.character].kind,
            f"{person}.colour": story.characters[role.character].colour,
            f"{person}.action": role.action if role.action == later.action else None,
            f"{person}.direction": role.direction,
        }
    return _labels(ASKED, answers)


def stated_attributes(story: WorldStory, shot: int, time: float | None = None) -> dict[str, bool]:
    """For every attribute of :data:`ASKED`: do the global caption and this shot's own caption say it in words?

    A place or light that the global caption says but this shot is not in is not stated. That a character
    has no accessory of some kind is never stated. ``time``: as in :func:`asked_attributes`; from a change on the
    change's caption counts. Expects the captions :func:`make_story` wrote.
    """
    spec = story.shots[shot]
    whole, told = _told(story, shot, time)
    mask = {attribute.name: False for attribute in ASKED}
    mask["place"] = (told.place or whole.place) == story.places[spec.place].kind
    mask["time"] = (told.time or whole.time) == spec.time
    mask["weather"] = (told.weather or whole.weather) == spec.weather
    mask["framing"] = told.framing
    mask["pan"] = told.framing and spec.pan is not None
    mask["zoom"] = told.framing and spec.zoom is not None
    for person, role in _persons(spec):
        for character, aspect in told.cast | whole.cast:
            if character == role.character:
                mask[f"{person}.{aspect}"] = True
    mask["count"] = any(mask[f"{person}.{aspect}"] for person, _ in _persons(spec) for aspect in ("kind", "action"))
    asked = asked_attributes(story, shot, time)
    return {name: stated and asked[name] != NOT_APPLICABLE for name, stated in mask.items()}


def read_attributes(story: WorldStory, shot: int, time: float | None = None) -> dict[str, int]:
    """What a perfect reader of the two captions alone would answer; -1 where they leave it open.

    Stated attributes get their label. Beyond them a reader assumes: a clear day unless told otherwise,
    standing unless an action is told, and no accessories on a character described without them.
    Never disagrees with what the captions say; differs from :func:`asked_attributes` only where they are silent.
    ``time``: as in :func:`stated_attributes`.
    """
    asked, mask = asked_attributes(story, shot, time), stated_attributes(story, shot, time)
    answers = {name: label if mask[name] else NOT_APPLICABLE for name, label in asked.items()}
    whole, told = _told(story, shot, time)
    if told.time is None and whole.time is None:
        answers["time"] = TIMES.index("day")
    if told.weather is None and whole.weather is None:
        answers["weather"] = WEATHERS.index("clear")
    for person, role in _persons(story.shots[shot]):
        if (role.character, "action") not in told.cast:
            answers[f"{person}.action"] = ACTIONS.index("stand")
        if mask[f"{person}.colour"]:
            for kind in ACCESSORIES:
                answers[f"{person}.{kind}"] = max(answers[f"{person}.{kind}"], 0)
    return answers


def _told(story: WorldStory, shot: int, time: float | None) -> tuple[Told, Told]:
    """What the global caption tells, and the caption of the shot at a time."""
    captions, change = caption_story(story), story.shots[shot].change
    after = change is not None and time is not None and time >= change.seconds
    return captions.whole.told, captions.at(shot, after).told


def unstated_details(story: WorldStory, shot: int) -> dict[str, int]:
    """What shot number ``shot`` shows that captions never name: a label for every attribute of :data:`UNSTATED`.

    Accessories the captions do name are -1 here (they are asked elsewhere); one that is absent is "none".
    """
    spec = story.shots[shot]
    place = story.places[spec.place]
    answers: dict[str, str | None] = {
        "landmark": place.landmark,
        "landmark colour": place.landmark_colour,
        "landmark third": place.landmark_third,
    }
    for person, role in _persons(spec):
        character = story.characters[role.character]
        answers |= {f"{person}.pattern": character.pattern, f"{person}.pattern colour": character.pattern_colour}
        answers |= {f"{person}.{kind}": NONE for kind in ACCESSORIES}
        answers |= {f"{person}.{one.kind}": None if one.stated else one.colour for one in character.accessories}
    return _labels(UNSTATED, answers)


def label(attribute: str, answer: str) -> int:
    """The label of ``answer``; raises KeyError or ValueError for a name or an answer that does not exist."""
    return _CLASSES[attribute].index(answer)


def _persons(spec: WorldShot) -> list[tuple[str, Role]]:
    return list(zip(PERSONS, spec.roles, strict=False))


def _labels(attributes: tuple[Attribute, ...], answers: dict[str, str | None]) -> dict[str, int]:
    labels = {}
    for attribute in attributes:
        answer = answers.get(attribute.name)
        labels[attribute.name] = NOT_APPLICABLE if answer is None else attribute.classes.index(answer)
    return labels
