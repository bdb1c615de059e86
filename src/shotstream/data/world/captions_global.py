"""Global captions: who the story is about, where it plays, its light and its look."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from shotstream.data.world.captions_setting import light, light_clause, light_tags, setting
from shotstream.data.world.captions_who import colour_word, look_facts, noun_phrase, stated, wears
from shotstream.data.world.english import phrase, sentence, series
from shotstream.data.world.phrases import LOOKS
from shotstream.data.world.spec import Time, Weather, WorldStory
from shotstream.data.world.told import Aspect, Caption, Told
from shotstream.data.world.voice import Voice

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
