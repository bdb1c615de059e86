"""How one story is told throughout: how much memory its captions ask for, and which words it prefers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from shotstream.core.randomness import derive
from shotstream.data.world.english import likely
from shotstream.data.world.phrases import HE, IT, KIND_NOUNS, SHE, SITES, Pronoun, Site
from shotstream.data.world.spec import WorldStory

# "looks": colours and accessories are told only where a character first appears, afterwards it is "the fox".
# "kinds": not even the kind is told again; afterwards it is "it" or "our hero".
Memory = Literal["none", "looks", "kinds"]


@dataclass(frozen=True, slots=True)
class Voice:
    """The choices that every caption of a story shares. ``nouns`` and ``sites`` are by index of character and place."""

    memory: Memory
    pronoun: Pronoun
    nouns: tuple[str, ...]
    sites: tuple[Site, ...]


def voice_of(story: WorldStory) -> Voice:
    """The voice of ``story``, drawn from its seed."""
    rng = Random(derive(story.seed, "captions", "voice"))
    alone = len(story.characters) == 1
    memory: Memory = rng.choices(("none", "looks", "kinds"), weights=(75, 17, 8) if alone else (75, 25, 0))[0]
    return Voice(
        memory=memory,
        pronoun=rng.choices((IT, HE, SHE), weights=(84, 8, 8))[0],
        nouns=tuple(likely(rng, KIND_NOUNS[character.kind], 0.6) for character in story.characters),
        sites=tuple(likely(rng, SITES[place.kind], 0.5) for place in story.places),
    )
