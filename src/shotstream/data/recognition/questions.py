"""What the recognisers are asked of a moment: questions about the whole picture, and about each person in it.

A picture cannot show which of two characters a story names first. So the network answers for *slots*, the
persons from left to right: slot 0 is the only or leftmost one. Questions are those of
:mod:`shotstream.data.world.truth`; a person's lose their prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

from shotstream.data.world.spec import FrameTruth, WorldStory
from shotstream.data.world.truth import ASKED, NOT_APPLICABLE, PERSONS, UNSTATED, asked_attributes, unstated_details

SLOTS = 2


def _of_person(name: str) -> bool:
    return name.startswith(tuple(f"{person}." for person in PERSONS))


_ALL = {attribute.name: attribute.classes for attribute in (*ASKED, *UNSTATED)}
PICTURE = {name: classes for name, classes in _ALL.items() if not _of_person(name)}
PERSON = {name.removeprefix("focus."): classes for name, classes in _ALL.items() if name.startswith(f"{PERSONS[0]}.")}


def picture_labels(story: WorldStory, shot: int) -> list[int]:
    """A label per question of ``PICTURE``, -1 where it does not apply."""
    truth = unstated_details(story, shot) | asked_attributes(story, shot)
    return [truth[name] for name in PICTURE]


def slot_order(frame: FrameTruth) -> list[int]:
    """The persons of a frame from left to right, as places in the shot's roles."""
    middles = [one.box[0] + one.box[2] for one in frame.characters]
    return sorted(range(len(middles)), key=middles.__getitem__)


def person_labels(story: WorldStory, shot: int, order: Sequence[int]) -> list[list[int]]:
    """A label per slot and question of ``PERSON``, -1 for an empty slot."""
    truth = unstated_details(story, shot) | asked_attributes(story, shot)
    filled = [[truth[f"{PERSONS[role]}.{name}"] for name in PERSON] for role in order]
    return filled + [[NOT_APPLICABLE] * len(PERSON)] * (SLOTS - len(filled))
