"""Who is in a story: kinds, colours, accessories and the details captions never name."""

from __future__ import annotations

from random import Random

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
)

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
