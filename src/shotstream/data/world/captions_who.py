"""Noun phrases for the cast: "a red fox with a blue hat", "the bunny", "it"."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from shotstream.data.world.english import indefinite, likely, phrase, series
from shotstream.data.world.phrases import (
    ACCESSORY_JOINTS,
    ACCESSORY_NOUNS,
    ACCESSORY_VERBS,
    COLOUR_WORDS,
    FLAVOURS,
)
from shotstream.data.world.spec import Accessory, Character
from shotstream.data.world.told import Aspect


def stated(character: Character) -> tuple[Accessory, ...]:
    """The accessories that captions may name."""
    return tuple(accessory for accessory in character.accessories if accessory.stated)


def look_facts(index: int, accessories: Sequence[Accessory], *, colour: bool = True) -> set[tuple[int, Aspect]]:
    """What a noun phrase with these parts tells of character ``index``."""
    facts: set[tuple[int, Aspect]] = {(index, "kind")}
    facts |= {(index, accessory.kind) for accessory in accessories}
    return facts | {(index, "colour")} if colour else facts


def noun_phrase(
    rng: Random,
    noun: str,
    character: Character,
    *,
    colour: bool,
    accessories: Sequence[Accessory],
    definite: bool,
    bare: bool = False,
) -> str:
    """As in "a red fox with a blue hat"; ``definite``: with "the"; ``bare``: with no article at all."""
    flavour = rng.choice(FLAVOURS) if not definite and not bare and rng.random() < 0.15 else ""
    head = phrase(flavour, colour_word(rng, character) if colour else "", noun)
    if not bare:
        head = f"the {head}" if definite else indefinite(head)
    return phrase(head, worn(rng, accessories, definite=definite and rng.random() < 0.7))


def colour_word(rng: Random, character: Character) -> str:
    return likely(rng, COLOUR_WORDS[character.colour], 0.8)


def worn(rng: Random, accessories: Sequence[Accessory], *, definite: bool = False) -> str:
    """As in "with a blue hat and a green balloon", "wearing a blue hat and carrying a green balloon", or nothing."""
    if not accessories:
        return ""
    things = [_thing(rng, accessory, definite) for accessory in accessories]
    joints = [rng.choice(ACCESSORY_JOINTS[accessory.kind]) for accessory in accessories]
    if len(things) == 1 or joints[0] == joints[1] or "with" in joints or "in" in joints:
        shared = joints[0] if len(set(joints)) == 1 else "with"
        return f"{shared} {series(things)}"
    return series([f"{joint} {thing}" for joint, thing in zip(joints, things, strict=True)])


def wears(rng: Random, accessories: Sequence[Accessory]) -> str:
    """As in "wears a blue hat and holds a green balloon"."""
    verbs = [rng.choice(ACCESSORY_VERBS[accessory.kind]) for accessory in accessories]
    things = [_thing(rng, accessory, definite=False) for accessory in accessories]
    if len(set(verbs)) == 1:
        return f"{verbs[0]} {series(things)}"
    return series([f"{verb} {thing}" for verb, thing in zip(verbs, things, strict=True)])


def _thing(rng: Random, accessory: Accessory, definite: bool) -> str:
    colour = likely(rng, COLOUR_WORDS[accessory.colour], 0.85)
    thing = f"{colour} {likely(rng, ACCESSORY_NOUNS[accessory.kind], 0.75)}"
    return f"the {thing}" if definite else indefinite(thing)
