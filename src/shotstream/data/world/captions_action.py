"""Verb phrases: what a role does and which way it faces or goes, in the three forms of :data:`phrases.Verb`."""

from __future__ import annotations

from random import Random

from shotstream.data.world.english import likely
from shotstream.data.world.phrases import ACTION_VERBS, FACING_VERBS, FACINGS, HEADINGS, OPPOSITE, SLEEP_FACINGS, Verb
from shotstream.data.world.spec import MOVING, Role


def predicate(rng: Random, role: Role, *, action: bool, direction: bool) -> Verb | None:
    """("walks left", "walk left", "walking left"); None when neither is to be told."""
    sides = {"side": role.direction, "opposite": OPPOSITE[role.direction]}
    if not direction:
        return likely(rng, ACTION_VERBS[role.action], 0.4) if action else None
    if not action or (role.action == "stand" and rng.random() < 0.6):
        # Without a told action only looking and facing fit, not the one that says "stands".
        verb = rng.choice(FACING_VERBS if action else FACING_VERBS[:-1])
        return _each(verb, **sides)
    verb = likely(rng, ACTION_VERBS[role.action], 0.4)
    if role.action in MOVING:
        return _each(verb, suffix=" " + rng.choice(HEADINGS).format(**sides))
    way = rng.choice(SLEEP_FACINGS if role.action == "sleep" else FACINGS).format(**sides)
    joint = " " if way.startswith("facing") and rng.random() < 0.6 else ", "
    one, two, three = verb
    return one + joint + way, two + joint + way, f"{three}, {way}"  # "jumping facing left" would be hard to read


def _each(verb: Verb, suffix: str = "", **names: str) -> Verb:
    one, two, three = (form.format(**names) + suffix for form in verb)
    return one, two, three
