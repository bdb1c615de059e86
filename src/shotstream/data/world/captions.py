"""Captions of a story in varied English, a record of what each states, and every word that captions can contain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, is_dataclass, replace
from functools import cache, lru_cache, partial
from random import Random

from shotstream.core.randomness import derive
from shotstream.core.words import words_of
from shotstream.data.world import phrases
from shotstream.data.world.captions_shot import shot_caption
from shotstream.data.world.phrases import LOOKS
from shotstream.data.world.spec import Aspect, Caption, Time, Told, Weather, WorldStory
from shotstream.data.world.wording import (
    Scene,
    Voice,
    colour_word,
    light,
    light_clause,
    light_tags,
    look_facts,
    noun_phrase,
    phrase,
    sentence,
    series,
    setting,
    stated,
    voice_of,
    wears,
)

# One character / two characters.
LIVES = (
    ("lives", "live"),
    ("plays", "play"),
    ("wanders about", "wander about"),
    ("has an adventure", "have an adventure"),
)
PAIR_ONLY = ("meet", "are friends", "spend time together", "live together", "play together")
STORY_OF = ("the story of", "a story about", "a short film about", "a tale of", "a little film about")
MEET = ("meet", "this is", "here is")
SOMEONE = ("a little hero", "a small friend", "a little traveller", "a friend")
MEETS = ("meets", "plays with", "lives with", "is friends with", "spends time with")
FIRST = "first"
LATER = ("later", "then", "and later", "and then")


@dataclass(frozen=True, slots=True)
class Topic:
    """What one global caption tells: indices of named places, and the light."""

    places: tuple[int, ...]
    time: Time | None
    weather: Weather | None


def global_caption(rng: Random, story: WorldStory, voice: Voice) -> Caption:
    """One way to write the global caption of ``story`` in ``voice``."""
    topic = _topic(rng, story)
    names, facts = _names(rng, story, voice)
    form = rng.choices(("lives", "of", "bare", "is", "tags"), weights=(40, 20, 18, 14, 8))[0]
    if form == "is" and (len(names) > 1 or voice.memory != "none"):
        form = "lives"
    if form == "tags" and (len(topic.places) > 1 or voice.memory == "kinds"):
        form = "bare"
    if form == "tags":
        text = _tags(rng, story, voice, topic)
    elif form == "is":
        text = _is(rng, story, voice, topic)
    else:
        text = _told_of(rng, form, names, voice, topic)
    if rng.random() < 0.25:
        text = _with_look(rng, text, tags=form == "tags")
    places = tuple(story.places[place].kind for place in topic.places)
    return Caption(text=text, told=Told(places=places, time=topic.time, weather=topic.weather, cast=frozenset(facts)))


def _topic(rng: Random, story: WorldStory) -> Topic:
    first = story.shots[0]
    visited = tuple(dict.fromkeys(shot.place for shot in story.shots))
    places: tuple[int, ...]
    if len(visited) == 1:
        places = visited if rng.random() < 0.9 else ()
    else:
        places = rng.choices((visited[:1], visited[:2], ()), weights=(45, 40 if len(visited) == 2 else 15, 15))[0]
    constant = len({(shot.time, shot.weather) for shot in story.shots}) == 1
    chance = 0.85 if constant else 0.3 if len(places) < 2 else 0.0
    time = first.time if rng.random() < chance * (0.7 if first.time == "day" else 1) else None
    weather = first.weather if rng.random() < chance * (0.4 if first.weather == "clear" else 1) else None
    return Topic(places, time, weather)


def _names(rng: Random, story: WorldStory, voice: Voice) -> tuple[list[str], set[tuple[int, Aspect]]]:
    if voice.memory == "kinds":
        return [rng.choice(SOMEONE)], set()
    names, facts = [], set[tuple[int, Aspect]]()
    for index, character in enumerate(story.characters):
        told = voice.memory == "none"
        accessories = stated(character) if told else ()
        noun = voice.nouns[index]
        names.append(noun_phrase(rng, noun, character, colour=told, accessories=accessories, definite=False))
        facts |= look_facts(index, accessories, colour=told)
    return names, facts


def _told_of(rng: Random, form: str, names: list[str], voice: Voice, topic: Topic) -> str:
    who = _listed(names)
    sites = [voice.sites[place] for place in topic.places]
    if len(sites) == 2:
        there = phrase(rng.choice(LATER), setting(rng, sites[1], None, None))
        here = setting(rng, sites[0], topic.time, topic.weather)
        if form == "lives":
            return sentence(f"{_lives(rng, names, placed=True, once=True)} {here}, {there}")
        if form == "of":
            return sentence(f"{rng.choice(STORY_OF)} {who}, {FIRST} {here}, {there}")
        return sentence(f"{who}, {here}, {there}")
    site = sites[0] if sites else None
    aside = rng.random() < 0.2 and bool(topic.time or topic.weather)
    where = setting(rng, site, None, None) if aside else setting(rng, site, topic.time, topic.weather)
    if form == "lives":
        if where and rng.random() < 0.25:
            text = sentence(f"{where}, {_lives(rng, names, placed=False)}")
        else:
            text = sentence(phrase(_lives(rng, names, placed=site is not None), where))
    elif form == "of":
        text = sentence(phrase(rng.choice(STORY_OF), who, where))
    else:
        text = sentence(phrase(rng.choice(MEET) if rng.random() < 0.2 else "", who, where))
    return phrase(text, sentence(light_clause(rng, topic.time, topic.weather, changed=False))) if aside else text


def _lives(rng: Random, names: list[str], *, placed: bool, once: bool = False) -> str:
    """As in "a red fox lives", "a red fox meets a white owl"; ``once``: only what one does now here, now there."""
    if len(names) == 2 and (" and " in names[0] or rng.random() < 0.35):
        return f"{names[0]} {rng.choice(MEETS[1:2] if once else MEETS)} {names[1]}"
    verbs = LIVES[1:3] if once else LIVES if placed else LIVES[1:]  # no sentence ends with "lives"
    if len(names) == 2 and not once and rng.random() < 0.6:
        return f"{series(names)} {rng.choice(PAIR_ONLY)}"
    return f"{series(names)} {rng.choice(verbs)[len(names) - 1]}"


def _listed(names: list[str]) -> str:
    """As in "a fox and an owl", with a comma when the first name holds an "and" of its own."""
    return ", and ".join(names) if " and " in names[0] else series(names)


def _is(rng: Random, story: WorldStory, voice: Voice, topic: Topic) -> str:
    """As in "A fox lives in a forest. It is red and wears a blue hat"."""
    character, pronoun = story.characters[0], voice.pronoun
    where = setting(rng, voice.sites[topic.places[0]], topic.time, topic.weather) if topic.places else ""
    if len(topic.places) == 2:
        where = phrase(where, "and", rng.choice(LATER[:2]), setting(rng, voice.sites[topic.places[1]], None, None))
    where = where or light(rng, topic.time, topic.weather)
    opening = noun_phrase(rng, voice.nouns[0], character, colour=False, accessories=(), definite=False)
    verb = rng.choice({0: LIVES[1:], 1: LIVES, 2: LIVES[1:3]}[len(topic.places)])[0]
    accessories = stated(character)
    look = phrase(pronoun.subject, "is", colour_word(rng, character))
    look = phrase(look, "and", wears(rng, accessories)) if len(accessories) == 1 else look
    look = f"{look}. {sentence(f'{pronoun.subject} {wears(rng, accessories)}')}" if len(accessories) == 2 else look
    return f"{sentence(phrase(opening, verb, where))} {sentence(look)}"


def _tags(rng: Random, story: WorldStory, voice: Voice, topic: Topic) -> str:
    """As in "red fox with a blue hat, forest, night"."""
    told = voice.memory == "none"
    names = [
        noun_phrase(rng, noun, one, colour=told, accessories=stated(one) if told else (), definite=False, bare=True)
        for noun, one in zip(voice.nouns, story.characters, strict=True)
    ]
    places = [voice.sites[place].noun for place in topic.places]
    return ", ".join([*names, *places, *light_tags(rng, topic.time, topic.weather)])


def _with_look(rng: Random, text: str, *, tags: bool) -> str:
    look = rng.choice(LOOKS)
    if tags:
        return f"{text}, {look}"
    return f"{sentence(look)} {text}" if rng.random() < 0.3 else f"{text} {sentence(look)}"


# Words of a global caption, and of a global and a shot caption together, that fit a text encoder of 128 tokens.
GLOBAL_WORDS = 48
TOTAL_WORDS = 90
DRAFTS = 8


@dataclass(frozen=True, slots=True)
class StoryCaptions:
    """``whole``: the global caption; ``shots``: one caption per shot; ``changes``: one per shot that changes, of the
    frames behind its change, None for the others."""

    whole: Caption
    shots: tuple[Caption, ...]
    changes: tuple[Caption | None, ...]

    def at(self, shot: int, after: bool) -> Caption:
        """The caption of shot number ``shot``; ``after``: of the frames behind its change, if it has one."""
        changed = self.changes[shot] if after else None
        return changed or self.shots[shot]


def caption_story(story: WorldStory) -> StoryCaptions:
    """Write the captions of ``story``, from its seed and what it shows; captions it already has play no part."""
    blank = tuple(
        replace(shot, caption="", change=replace(shot.change, caption="") if shot.change else None)
        for shot in story.shots
    )
    return _caption(replace(story, global_caption="", shots=blank))


@lru_cache(maxsize=256)
def _caption(story: WorldStory) -> StoryCaptions:
    voice = voice_of(story)
    whole = _shortest(story.seed, "global", GLOBAL_WORDS, lambda rng: global_caption(rng, story, voice))
    room = TOTAL_WORDS - len(words_of(whole.text))
    shots, changes = [], []
    for index, shot in enumerate(story.shots):
        scene = Scene(story, index, voice, whole.told)
        shots.append(_shortest(story.seed, f"shot {index}", room, partial(_written, scene)))
        later = partial(_written, replace(scene, changed=True))
        changes.append(_shortest(story.seed, f"change {index}", room, later) if shot.change else None)
    return StoryCaptions(whole, tuple(shots), tuple(changes))


def _written(scene: Scene, rng: Random) -> Caption:
    return shot_caption(rng, scene)


def _shortest(seed: int, name: str, limit: int, write: Callable[[Random], Caption]) -> Caption:
    """The first draft within ``limit`` words, or the shortest if none is."""
    drafts = []
    for draft in range(DRAFTS):
        caption = write(Random(derive(seed, "captions", name, draft)))
        if len(words_of(caption.text)) <= limit:
            return caption
        drafts.append(caption)
    return min(drafts, key=lambda caption: len(words_of(caption.text)))


SIDE = re.compile(r"\{side\}")
SLOT = re.compile(r"\{\w+\}")


@cache
def vocabulary() -> frozenset[str]:
    """All words, lower-case, hyphened words whole ("close-up")."""
    tables = [table for name, table in (*vars(phrases).items(), *globals().items()) if name.isupper()]
    return frozenset(word for table in tables for text in _texts(table) for word in words_of(SLOT.sub(" ", text)))


def what_can_be_asked_for() -> dict[str, tuple[tuple[str, ...], ...]]:
    """What captions can ask for, by kind: for everything there is its wordings, the plainest first."""
    sides = tuple(phrases.SIDES.values())
    return {
        "characters": tuple(phrases.KIND_NOUNS.values()),
        "colours": tuple(phrases.COLOUR_WORDS.values()),
        "worn or carried": tuple(phrases.ACCESSORY_NOUNS.values()),
        "places": tuple(_each_once(site.noun for site in sites) for sites in phrases.SITES.values()),
        "light": tuple(phrases.TIME_PHRASES.values()),
        "weather": tuple(phrases.WEATHER_PHRASES.values()),
        "actions": tuple(_each_once(verb[0] for verb in verbs) for verbs in phrases.ACTION_VERBS.values()),
        "directions": tuple((f"to the {side}", f"looking {side}") for side in sides),
        "framings": tuple(_each_once(SIDE.sub(sides[0], text) for text in leads) for leads in phrases.LEADS.values()),
    }


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def unknown_words(text: str) -> list[str]:
    """The words of ``text`` that no caption contains, each once, in order."""
    return [word for word in dict.fromkeys(words_of(text)) if word not in vocabulary()]


def _texts(table: object) -> Iterator[str]:
    """All strings inside nested dicts, sequences and dataclasses. Keys of dicts are labels, not text."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        yield from (text for value in table.values() for text in _texts(value))
    elif isinstance(table, (tuple, list)):
        yield from (text for value in table for text in _texts(value))
    elif is_dataclass(table) and not isinstance(table, type):
        yield from _texts(astuple(table))
