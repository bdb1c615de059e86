"""Text alignment: is what the captions say to be seen? Asked of the recognisers, answered from the world's truth."""

from __future__ import annotations

from collections.abc import Sequence

from shotstream.data.world.spec import WorldStory
from shotstream.data.world.truth import asked_attributes, stated_attributes
from shotstream.evaluation.recognisers import ShotReading, asked_of, slots_of_roles


def recognised(story: WorldStory, shot: int, reading: ShotReading) -> dict[str, bool]:
    """For every attribute of the shot that applies: is the likeliest answer the true one?"""
    truth, slots = asked_attributes(story, shot), slots_of_roles(story, shot, reading)
    return {name: int(reading.answer(name, slots).argmax()) == truth[name] for name in asked_of(story, shot)}


def stated(story: WorldStory, shot: int) -> list[str]:
    """The attributes the captions of this shot say in words."""
    return [name for name, said in stated_attributes(story, shot).items() if said]


def alignment_by_shot(story: WorldStory, readings: Sequence[ShotReading]) -> list[float]:
    """Share of the stated attributes that are recognised, per shot; a shot whose captions state nothing is left out."""
    shares = []
    for shot, reading in enumerate(readings):
        found, said = recognised(story, shot, reading), stated(story, shot)
        if said:
            shares.append(sum(found[name] for name in said) / len(said))
    return shares
