"""Choosing the phrases of a shot: what its cast is called, what they do, and where the setting goes."""

from __future__ import annotations

from random import Random

from shotstream.data.world.captions_action import predicate
from shotstream.data.world.captions_line import Line
from shotstream.data.world.captions_setting import light_clause, setting
from shotstream.data.world.captions_who import look_facts, noun_phrase, stated
from shotstream.data.world.english import likely, phrase, series
from shotstream.data.world.phrases import ARRIVALS, BARE_GROUPS, GROUPS, HEROES, KIND_NOUNS, RETURNS, THEY
from shotstream.data.world.scene import Agenda, Scene
from shotstream.data.world.spec import MOVING
from shotstream.data.world.told import Aspect
from shotstream.data.world.voice import Memory

PRONOUN_CHANCE: dict[Memory, float] = {"none": 0.2, "looks": 0.4, "kinds": 0.55}


def make_line(rng: Random, scene: Scene, agenda: Agenda, *, action: bool, pronouns: bool, remarks: bool) -> Line:
    """The phrases of ``scene``.

    ``action`` False: nobody's action is told (they just stand there). ``pronouns``: may the cast be called
    "it" or "they"? ``remarks``: may the light have a sentence of its own?
    """
    roles = scene.shot.roles
    facts: set[tuple[int, Aspect]] = set()
    directions = list(agenda.directions)
    together = len({(role.action, role.direction) for role in roles}) == 1
    if together:
        directions = [directions[0]] * len(roles)
    names, bare = [], []
    definite = scene.voice.memory == "looks" and rng.random() < 0.4  # of characters that are new to the reader
    for role in roles:
        name, noun = _name(rng, scene, role.character, facts, pronouns=pronouns, definite=definite)
        names.append(name)
        bare.append(noun)
    verbs = [predicate(rng, role, action=action, direction=told) for role, told in zip(roles, directions, strict=True)]
    facts |= {(role.character, "action") for role in roles if action}
    facts |= {(role.character, "direction") for role, told in zip(roles, directions, strict=True) if told}
    line = Line(
        scene=scene, agenda=agenda, subjects=names, verbs=verbs, plural=False, pronoun=scene.voice.pronoun,
        introduction=series(names), facts=facts, bare=bare,
    )  # fmt: skip
    if len(roles) == 2:
        _pair_up(rng, line, together, pronouns)
    _set_scene(rng, line, remarks)
    return line


def _name(
    rng: Random, scene: Scene, index: int, facts: set[tuple[int, Aspect]], *, pronouns: bool, definite: bool
) -> tuple[str, str]:
    """How the shot calls character ``index``, with and without an article; adds what that tells to ``facts``."""
    story, voice, character = scene.story, scene.voice, scene.story.characters[index]
    accessories = stated(character)
    noun = voice.nouns[index] if rng.random() < 0.85 else likely(rng, KIND_NOUNS[character.kind], 0.5)
    if voice.memory != "none" and scene.is_first_of(index):
        facts |= look_facts(index, accessories)
        full = noun_phrase(rng, noun, character, colour=True, accessories=accessories, definite=definite)
        return full, full.split(" ", 1)[1]
    alone = len(story.characters) == 1
    if alone and pronouns and scene.index and rng.random() < PRONOUN_CHANCE[voice.memory]:
        return voice.pronoun.subject, voice.pronoun.subject
    if voice.memory == "kinds" and rng.random() < 0.6:
        return rng.choice(HEROES), HEROES[0].rsplit(" ", 1)[1]
    detail = rng.random() if voice.memory == "none" else 0.0
    colour = detail > 0.72
    worn = accessories if detail > 0.92 or (0.65 < detail <= 0.72) else ()
    facts |= look_facts(index, worn, colour=colour)
    name = noun_phrase(rng, noun, character, colour=colour, accessories=worn, definite=True)
    return name, name.removeprefix("the ")


def _pair_up(rng: Random, line: Line, together: bool, pronouns: bool) -> None:
    """Two characters with one verb become one subject; sometimes "they" or "the two friends"."""
    first = any(line.scene.is_first_of(role.character) for role in line.scene.shot.roles)
    line.pronoun = THEY
    if not together:
        return
    line.plural, line.verbs = True, line.verbs[:1]
    line.bare = [series(line.bare)]
    subject = series(line.subjects)
    if line.scene.index and not first and rng.random() < 0.35:
        subject = THEY.subject if pronouns and rng.random() < 0.25 else rng.choice(GROUPS)
        line.facts = {(who, what) for who, what in line.facts if what in ("action", "direction")}
        line.introduction, line.bare = subject, [rng.choice(BARE_GROUPS)]
    line.subjects = [subject]


def _set_scene(rng: Random, line: Line, remarks: bool) -> None:
    """Put place and light at the head of the caption, at its end, or in a sentence of their own."""
    scene, agenda = line.scene, line.agenda
    lit = bool(agenda.time or agenda.weather)
    if lit and remarks and (rng.random() < (0.7 if scene.relit else 0.15)):
        line.remark = light_clause(rng, agenda.time, agenda.weather, changed=scene.relit)
        line.remark_first = rng.random() < 0.7
        time, weather = None, None
    else:
        time, weather = agenda.time, agenda.weather
    site = scene.voice.sites[scene.shot.place] if agenda.place else None
    roam = len(line.verbs) == 1 and scene.shot.roles[0].action in MOVING and rng.random() < 0.5
    head = bool(site or time or weather) and rng.random() < 0.35
    where = setting(rng, site, time, weather, definite=scene.place_is_known, through=roam and not head)
    line.where = where
    if not head:
        line.lead = ""
    elif scene.returns and site:
        line.lead = phrase(likely(rng, RETURNS, 0.8), where)
    elif scene.moved and site and rng.random() < 0.4:
        line.lead = phrase(rng.choice(ARRIVALS), where)
    else:
        line.lead = where
