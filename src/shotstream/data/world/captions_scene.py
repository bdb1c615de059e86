"""The state that captions are written from: a story's style, and what a shot's caption has to mention."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from shotstream.core.randomness import derive
from shotstream.data.world.phrases import HE, IT, KIND_NOUNS, SHE, SITES, Pronoun, Site
from shotstream.data.world.spec import MOVING, Action, Place, Time, Told, Weather, WorldShot, WorldStory
from shotstream.data.world.wording import likely

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


@dataclass(frozen=True, slots=True)
class Scene:
    """One shot where it stands in its story. ``known``: what the global caption tells; ``changed``: its caption is
    for the frames behind the shot's change, whose roles ``shot`` then has.
    """

    story: WorldStory
    index: int
    voice: Voice
    known: Told
    changed: bool = False

    @property
    def shot(self) -> WorldShot:
        shot = self.story.shots[self.index]
        return shot.at(shot.change.seconds) if self.changed and shot.change else shot

    @property
    def before(self) -> WorldShot | None:
        return self.story.shots[self.index - 1] if self.index else None

    @property
    def place(self) -> Place:
        return self.story.places[self.shot.place]

    @property
    def moved(self) -> bool:
        """Is this another place than the shot before?"""
        return not self.changed and self.before is not None and self.before.place != self.shot.place

    @property
    def returns(self) -> bool:
        """Did an earlier visit, not just the shot before, play here?"""
        return self.moved and any(shot.place == self.shot.place for shot in self.story.shots[: self.index])

    @property
    def place_is_known(self) -> bool:
        """Was this place named or seen already, so that it is "the" forest?"""
        earlier = any(shot.place == self.shot.place for shot in self.story.shots[: self.index])
        return earlier or self.place.kind in self.known.places

    @property
    def relit(self) -> bool:
        """Same place as the shot before, in another light?"""
        before, shot = self.before, self.shot
        return (
            not self.changed
            and before is not None
            and not self.moved
            and (before.time, before.weather) != (shot.time, shot.weather)
        )

    def is_first_of(self, character: int) -> bool:
        """Does ``character`` appear here for the first time?"""
        earlier = (role for shot in self.story.shots[: self.index] for role in shot.roles)
        return all(role.character != character for role in earlier)


@dataclass(frozen=True, slots=True)
class Agenda:
    """What one shot caption will tell. ``directions``: for which roles, in their order."""

    place: bool
    time: Time | None
    weather: Weather | None
    framing: bool
    directions: tuple[bool, ...]


def _direction_chance(action: Action) -> float:
    """How often captions say which way: nearly always of a walk, seldom of a spin."""
    if action in MOVING:
        return 0.85
    return 0.3 if action in ("spin", "sleep", "dance") else 0.5


def make_agenda(rng: Random, scene: Scene) -> Agenda:
    """Tell what is new, what the captions would otherwise leave wrong, and now and then what is known anyway.

    A reader takes a shot's place and light from its own caption, else from the global one, else for a
    clear day. Stories that ask for memory do not correct such a reader after the first shot.
    """
    shot, before, known = scene.shot, scene.before, scene.known
    forgetful = scene.voice.memory != "none" and before is not None
    again = 0.04 if forgetful else 0.12

    def tell(truth: str, reading: str | None, last: str | None) -> bool:
        changed = last is not None and last != truth
        return changed or (reading != truth and not forgetful) or rng.random() < again

    time = tell(shot.time, known.time or "day", before.time if before else None)
    weather = tell(shot.weather, known.weather or "clear", before.weather if before else None)
    place_before = scene.story.places[before.place].kind if before else None
    return Agenda(
        place=tell(scene.place.kind, known.place, place_before),
        time=shot.time if time else None,
        weather=shot.weather if weather else None,
        framing=shot.framing in ("pan", "zoom") or rng.random() < 0.93,
        directions=tuple(rng.random() < _direction_chance(role.action) for role in shot.roles),
    )
