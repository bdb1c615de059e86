"""Shot captions: framing, characters, actions, directions, and what is new about place and light.

A caption is written in one of several forms; each form is a small function over :class:`Line`,
the noun and verb phrases of the shot. Forms are listed in ``FORMS`` with their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from shotstream.data.world import phrases
from shotstream.data.world.phrases import Pronoun, Verb, View
from shotstream.data.world.spec import MOVING, Aspect, Caption, Told
from shotstream.data.world.wording import (
    Agenda,
    Memory,
    Scene,
    joined,
    light_clause,
    light_tags,
    likely,
    look_facts,
    make_agenda,
    noun_phrase,
    phrase,
    predicate,
    sentence,
    series,
    setting,
    stated,
)


@dataclass(slots=True)
class Line:
    """The parts of one caption. ``subjects`` are noun phrases, one per verb of ``verbs``."""

    scene: Scene
    agenda: Agenda
    subjects: list[str]
    verbs: list[Verb | None]
    plural: bool  # one verb for two characters
    pronoun: Pronoun
    introduction: str
    facts: set[tuple[int, Aspect]]
    where: str = ""  # "in the forest at night"
    lead: str = ""  # "back in the forest at night", when a clause should open with it
    remark: str = ""  # "night has fallen", a sentence of its own
    remark_first: bool = True
    bare: list[str] = field(default_factory=list)

    def view(self, table: Mapping[View, Sequence[str]]) -> list[str]:
        """The entries of a camera table for this shot, pans with their side."""
        shot = self.scene.shot
        key: View = f"zoom {shot.zoom}" if shot.framing == "zoom" else shot.framing  # type: ignore[assignment]
        return [entry.format(side=shot.pan) for entry in table[key]]

    def finite(self, rng: Random) -> str:
        """As in "in the forest, the fox walks to the left"."""
        clauses = self._clauses(rng, self.subjects)
        body = self._now(rng, joined(clauses, rng.choice(phrases.TOGETHER)))
        return f"{self.lead}, {body}" if self.lead else phrase(body, self.where)

    def follow_up(self, rng: Random) -> str:
        """The sentence after the cast was introduced: "it walks to the left" """
        subjects = [self.pronoun.subject] if len(self.subjects) == 1 else self.subjects
        clauses = self._clauses(rng, subjects)
        return phrase(self._now(rng, joined(clauses, rng.choice(phrases.TOGETHER))), self.where)

    def _now(self, rng: Random, clause: str) -> str:
        """Behind a change mostly with "now", as in "now the fox dances"."""
        return f"{phrases.NOW} {clause}" if self.scene.changed and not self.lead and rng.random() < 0.7 else clause

    def participle(self) -> str:
        """As in "the fox walking to the left in the forest"."""
        return phrase(series(self._phrases(2)), self.where)

    def infinitive(self) -> str:
        """As in "the fox walk to the left in the forest"."""
        return phrase(series(self._phrases(1)), self.where)

    def tags(self, rng: Random) -> list[str]:
        """["fox walking left", "forest", "night"]"""
        verbs = [verb[2] if verb else "" for verb in self.verbs]
        names = [phrase(who, verb) for who, verb in zip(self.bare, verbs, strict=True)]
        place = [self.scene.voice.sites[self.scene.shot.place].noun] if self.agenda.place else []
        lights = light_tags(rng, self.agenda.time, self.agenda.weather)
        return [series(names), *place, *lights]

    def _clauses(self, rng: Random, subjects: list[str]) -> list[str]:
        """Subjects with their verbs: "the fox walks", now and then "the fox is walking"."""
        clauses = []
        for who, verb in zip(subjects, self.verbs, strict=True):
            if verb is None:
                raise ValueError("a finite clause needs a verb: forms that tell no action have none")
            base, be = (verb[1], "are") if self.plural else (verb[0], "is")
            progressive = rng.random() < 0.12 or base.startswith("be ")
            clauses.append(f"{who} {be} {verb[2]}" if progressive else f"{who} {base}")
        return clauses

    def _phrases(self, form: int) -> list[str]:
        """Subjects, as objects of what comes before them, each with one form of its verb."""
        subjects = self.subjects
        if subjects == [self.pronoun.subject]:
            subjects = [self.pronoun.object]
        return [phrase(who, verb[form] if verb else "") for who, verb in zip(subjects, self.verbs, strict=True)]


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
    noun = voice.nouns[index] if rng.random() < 0.85 else likely(rng, phrases.KIND_NOUNS[character.kind], 0.5)
    if voice.memory != "none" and scene.is_first_of(index):
        facts |= look_facts(index, accessories)
        full = noun_phrase(rng, noun, character, colour=True, accessories=accessories, definite=definite)
        return full, full.split(" ", 1)[1]
    alone = len(story.characters) == 1
    if alone and pronouns and scene.index and rng.random() < PRONOUN_CHANCE[voice.memory]:
        return voice.pronoun.subject, voice.pronoun.subject
    if voice.memory == "kinds" and rng.random() < 0.6:
        return rng.choice(phrases.HEROES), phrases.HEROES[0].rsplit(" ", 1)[1]
    detail = rng.random() if voice.memory == "none" else 0.0
    colour = detail > 0.72
    worn = accessories if detail > 0.92 or (0.65 < detail <= 0.72) else ()
    facts |= look_facts(index, worn, colour=colour)
    name = noun_phrase(rng, noun, character, colour=colour, accessories=worn, definite=True)
    return name, name.removeprefix("the ")


def _pair_up(rng: Random, line: Line, together: bool, pronouns: bool) -> None:
    """Two characters with one verb become one subject; sometimes "they" or "the two friends"."""
    first = any(line.scene.is_first_of(role.character) for role in line.scene.shot.roles)
    line.pronoun = phrases.THEY
    if not together:
        return
    line.plural, line.verbs = True, line.verbs[:1]
    line.bare = [series(line.bare)]
    subject = series(line.subjects)
    if line.scene.index and not first and rng.random() < 0.35:
        subject = phrases.THEY.subject if pronouns and rng.random() < 0.25 else rng.choice(phrases.GROUPS)
        line.facts = {(who, what) for who, what in line.facts if what in ("action", "direction")}
        line.introduction, line.bare = subject, [rng.choice(phrases.BARE_GROUPS)]
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
        line.lead = phrase(likely(rng, phrases.RETURNS, 0.8), where)
    elif scene.moved and site and rng.random() < 0.4:
        line.lead = phrase(rng.choice(phrases.ARRIVALS), where)
    else:
        line.lead = where


def shot_caption(rng: Random, scene: Scene) -> Caption:
    """One way to write the caption of ``scene``. Behind a change what is done is always told."""
    agenda = make_agenda(rng, scene)
    names = [name for name in FORMS if (name == "plain") != agenda.framing]
    form = rng.choices(names, weights=[FORMS[name][1] for name in names])[0]
    still = all(role.action == "stand" for role in scene.shot.roles)
    action = scene.changed or not (still and form in ("of", "tags") and rng.random() < 0.4)
    line = make_line(rng, scene, agenda, action=action, pronouns=form in WITH_PRONOUNS, remarks=form != "tags")
    text = FORMS[form][0](rng, line)
    if line.remark:
        remark = sentence(line.remark)
        text = f"{remark} {text}" if line.remark_first else f"{sentence(text)} {remark}"
    told = Told(
        places=(scene.place.kind,) if agenda.place else (),
        time=agenda.time,
        weather=agenda.weather,
        framing=agenda.framing,
        cast=frozenset(line.facts),
    )
    return Caption(text=text, told=told)


def _lead(rng: Random, line: Line) -> str:
    """As in "Wide shot. The fox walks to the left through the forest"."""
    head = likely(rng, line.view(phrases.LEADS), 0.4)
    stop = rng.choices((".", ":", ","), weights=(6, 2, 0 if line.lead else 1))[0]
    body = line.finite(rng)
    return f"{sentence(head)} {sentence(body)}" if stop == "." else f"{head.capitalize()}{stop} {body}."


def _of(rng: Random, line: Line) -> str:
    """As in "A wide shot of the fox walking to the left"."""
    head = likely(rng, line.view(phrases.VIEWS_OF), 0.4)
    if rng.random() < 0.3:
        head = head.removeprefix("a ").removeprefix("an ")
    return sentence(phrase(head, line.participle()))


def _cut(rng: Random, line: Line) -> str:
    """As in "Cut to a close-up of the fox. It waves"."""
    cut = rng.choice(phrases.CUTS) if line.scene.index and not line.scene.changed else ""
    head = likely(rng, line.view(phrases.VIEWS_OF), 0.4)
    return f"{sentence(phrase(cut, head, line.introduction))} {sentence(line.follow_up(rng))}"


def _tail(rng: Random, line: Line) -> str:
    """As in "The fox walks to the left, seen from afar"."""
    tail = likely(rng, line.view(phrases.TAILS), 0.3)
    body = line.finite(rng)
    close = tail.startswith(("in a ", "in close", "as ", "while ")) and ", " not in body
    return sentence(f"{body} {tail}" if close else f"{body}, {tail}")


def _camera(rng: Random, line: Line) -> str:
    """As in "The fox waves. The camera is close"."""
    about = sentence(rng.choice(line.view(phrases.SENTENCES)))
    body = sentence(line.finite(rng))
    return f"{about} {body}" if rng.random() < 0.5 else f"{body} {about}"


def _watch(rng: Random, line: Line) -> str:
    """As in "Show the fox waving in a close-up"."""
    tail = rng.choice([one for one in line.view(phrases.TAILS) if one.startswith(("in ", "as ", "while "))])
    body = f"{rng.choice(phrases.WATCHING)} {line.participle()}"
    return sentence(f"{body}, {tail}" if ", " in body else f"{body} {tail}")


def _make(rng: Random, line: Line) -> str:
    """As in "Wide shot. Make the fox walk to the left"."""
    head = sentence(likely(rng, line.view(phrases.LEADS), 0.5))
    return f"{head} {sentence(f'{rng.choice(phrases.MAKING)} {line.infinitive()}')}"


def _tags(rng: Random, line: Line) -> str:
    """As in "close-up, fox waving, night"."""
    return ", ".join([rng.choice(line.view(phrases.TAGS)), *line.tags(rng)])


def _plain(rng: Random, line: Line) -> str:
    """As in "The fox waves"."""
    return sentence(line.finite(rng))


WITH_PRONOUNS = ("lead", "tail", "camera", "make", "plain")  # elsewhere "it" would be bad English
FORMS: dict[str, tuple[Callable[[Random, Line], str], float]] = {
    "lead": (_lead, 30),
    "of": (_of, 18),
    "cut": (_cut, 14),
    "tail": (_tail, 14),
    "camera": (_camera, 8),
    "watch": (_watch, 6),
    "make": (_make, 4),
    "tags": (_tags, 8),
    "plain": (_plain, 1),
}
