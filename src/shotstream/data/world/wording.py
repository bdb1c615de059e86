"""Builds the phrases of captions, the rules of English they share, and the style in which a story is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from shotstream.core.randomness import derive
from shotstream.data.world import phrases
from shotstream.data.world.phrases import Pronoun, Site, Verb
from shotstream.data.world.spec import (
    MOVING,
    Accessory,
    Action,
    Aspect,
    Character,
    Place,
    Role,
    Time,
    Told,
    Weather,
    WorldShot,
    WorldStory,
)

Option = TypeVar("Option")


def indefinite(noun: str) -> str:
    """``noun`` with "a" or "an". Every word of the world that starts with a vowel letter also sounds like one."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop."""
    text = text.strip().rstrip(",")
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")


def series(parts: Sequence[str]) -> str:
    """The parts as a list: "a", "a and b", "a, doing this, and b"."""
    return joined(parts, "and")


def joined(parts: Sequence[str], joint: str) -> str:
    """The parts as "a and b"; "a, doing this, and b" where a part holds a comma of its own."""
    return (f", {joint} " if any(", " in part for part in parts[:-1]) else f" {joint} ").join(parts)


def phrase(*parts: str) -> str:
    """The non-empty parts, one space between."""
    return " ".join(part for part in parts if part)


def likely(rng: Random, options: Sequence[Option], first: float = 0.5) -> Option:
    """The first option with probability ``first``, else any of them: plain words stay the common ones."""
    return options[0] if rng.random() < first else rng.choice(options)


def predicate(rng: Random, role: Role, *, action: bool, direction: bool) -> Verb | None:
    """("walks left", "walk left", "walking left"); None when neither is to be told."""
    sides = {"side": role.direction, "opposite": phrases.OPPOSITE[role.direction]}
    if not direction:
        return likely(rng, phrases.ACTION_VERBS[role.action], 0.4) if action else None
    if not action or (role.action == "stand" and rng.random() < 0.6):
        # Without a told action only looking and facing fit, not the one that says "stands".
        verb = rng.choice(phrases.FACING_VERBS if action else phrases.FACING_VERBS[:-1])
        return _each(verb, **sides)
    verb = likely(rng, phrases.ACTION_VERBS[role.action], 0.4)
    if role.action in MOVING:
        return _each(verb, suffix=" " + rng.choice(phrases.HEADINGS).format(**sides))
    way = rng.choice(phrases.SLEEP_FACINGS if role.action == "sleep" else phrases.FACINGS).format(**sides)
    joint = " " if way.startswith("facing") and rng.random() < 0.6 else ", "
    one, two, three = verb
    return one + joint + way, two + joint + way, f"{three}, {way}"  # "jumping facing left" would be hard to read


def _each(verb: Verb, suffix: str = "", **names: str) -> Verb:
    one, two, three = (form.format(**names) + suffix for form in verb)
    return one, two, three


def setting(
    rng: Random,
    site: Site | None,
    time: Time | None,
    weather: Weather | None,
    *,
    definite: bool = False,
    through: bool = False,
) -> str:
    """Place and light in one phrase; what is None stays unsaid. ``through``: for those who move across the place."""
    if site is None:
        return light(rng, time, weather)
    adjective = ""
    if site.weather_adjective and rng.random() < 0.5:
        if weather in ("rain", "snow"):
            adjective, weather = likely(rng, phrases.WEATHER_ADJECTIVES[weather], 0.6), None
        elif weather == "clear" and time == "day":
            adjective, weather, time = phrases.SUNNY, None, None
    noun = phrase(adjective, site.noun)
    named = f"the {noun}" if definite or site.article == "the" else indefinite(noun)
    return phrase(rng.choice(site.through if through else site.at), named, light(rng, time, weather))


def light(rng: Random, time: Time | None, weather: Weather | None) -> str:
    """As in "at night in the rain", "on a rainy night", "in the rain", or nothing."""
    if time and weather:
        if weather == "clear" and rng.random() < 0.7:
            return rng.choice(phrases.CLEAR_PHRASES[time])
        if rng.random() < 0.5:
            day = f"{likely(rng, phrases.DAY_ADJECTIVES[weather], 0.7)} {rng.choice(phrases.TIME_NOUNS[time])}"
            return f"on {indefinite(day)}"
    return phrase(
        likely(rng, phrases.TIME_PHRASES[time], 0.4) if time else "",
        likely(rng, phrases.WEATHER_PHRASES[weather], 0.5) if weather else "",
    )


def light_clause(rng: Random, time: Time | None, weather: Weather | None, *, changed: bool) -> str:
    """A clause of its own: "it is night and snow is falling"; ``changed``: "night has fallen"."""
    times, weathers = phrases.TIME_STATES, phrases.WEATHER_STATES
    if changed and not (time and weather):  # "it is night now and now it rains" is no English
        times, weathers = phrases.TIME_CHANGES, phrases.WEATHER_CHANGES
    parts = [rng.choice(times[time])] if time else []
    return series(parts + ([rng.choice(weathers[weather])] if weather else []))


def light_tags(rng: Random, time: Time | None, weather: Weather | None) -> list[str]:
    """Keywords: ["night", "rain"]."""
    tags = [likely(rng, phrases.TIME_TAGS[time], 0.6)] if time else []
    return tags + ([likely(rng, phrases.WEATHER_TAGS[weather], 0.6)] if weather else [])


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
    flavour = rng.choice(phrases.FLAVOURS) if not definite and not bare and rng.random() < 0.15 else ""
    head = phrase(flavour, colour_word(rng, character) if colour else "", noun)
    if not bare:
        head = f"the {head}" if definite else indefinite(head)
    return phrase(head, worn(rng, accessories, definite=definite and rng.random() < 0.7))


def colour_word(rng: Random, character: Character) -> str:
    return likely(rng, phrases.COLOUR_WORDS[character.colour], 0.8)


def worn(rng: Random, accessories: Sequence[Accessory], *, definite: bool = False) -> str:
    """As in "with a blue hat and a green balloon", "wearing a blue hat and carrying a green balloon", or nothing."""
    if not accessories:
        return ""
    things = [_thing(rng, accessory, definite) for accessory in accessories]
    joints = [rng.choice(phrases.ACCESSORY_JOINTS[accessory.kind]) for accessory in accessories]
    if len(things) == 1 or joints[0] == joints[1] or "with" in joints or "in" in joints:
        shared = joints[0] if len(set(joints)) == 1 else "with"
        return f"{shared} {series(things)}"
    return series([f"{joint} {thing}" for joint, thing in zip(joints, things, strict=True)])


def wears(rng: Random, accessories: Sequence[Accessory]) -> str:
    """As in "wears a blue hat and holds a green balloon"."""
    verbs = [rng.choice(phrases.ACCESSORY_VERBS[accessory.kind]) for accessory in accessories]
    things = [_thing(rng, accessory, definite=False) for accessory in accessories]
    if len(set(verbs)) == 1:
        return f"{verbs[0]} {series(things)}"
    return series([f"{verb} {thing}" for verb, thing in zip(verbs, things, strict=True)])


def _thing(rng: Random, accessory: Accessory, definite: bool) -> str:
    colour = likely(rng, phrases.COLOUR_WORDS[accessory.colour], 0.85)
    thing = f"{colour} {likely(rng, phrases.ACCESSORY_NOUNS[accessory.kind], 0.75)}"
    return f"the {thing}" if definite else indefinite(thing)


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
        pronoun=rng.choices((phrases.IT, phrases.HE, phrases.SHE), weights=(84, 8, 8))[0],
        nouns=tuple(likely(rng, phrases.KIND_NOUNS[character.kind], 0.6) for character in story.characters),
        sites=tuple(likely(rng, phrases.SITES[place.kind], 0.5) for place in story.places),
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
