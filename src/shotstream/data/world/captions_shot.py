"""Shot captions: framing, who, what they do and which way, and what is new about place and light.

A caption is written in one of several forms; each form is a small function over :class:`Line`,
the noun and verb phrases of the shot. Forms are listed in ``FORMS`` with their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from shotstream.data.world import phrases_camera as camera
from shotstream.data.world.captions_compose import make_line
from shotstream.data.world.captions_line import Line
from shotstream.data.world.english import likely, phrase, sentence
from shotstream.data.world.scene import Scene, make_agenda
from shotstream.data.world.told import Caption, Told


def shot_caption(rng: Random, scene: Scene) -> Caption:
    """One way to write the caption of ``scene``."""
    agenda = make_agenda(rng, scene)
    names = [name for name in FORMS if (name == "plain") != agenda.framing]
    form = rng.choices(names, weights=[FORMS[name][1] for name in names])[0]
    still = all(role.action == "stand" for role in scene.shot.roles)
    action = not (still and form in ("of", "tags") and rng.random() < 0.4)
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
    head = likely(rng, line.view(camera.LEADS), 0.4)
    stop = rng.choices((".", ":", ","), weights=(6, 2, 0 if line.lead else 1))[0]
    body = line.finite(rng)
    return f"{sentence(head)} {sentence(body)}" if stop == "." else f"{head.capitalize()}{stop} {body}."


def _of(rng: Random, line: Line) -> str:
    """As in "A wide shot of the fox walking to the left"."""
    head = likely(rng, line.view(camera.VIEWS_OF), 0.4)
    if rng.random() < 0.3:
        head = head.removeprefix("a ").removeprefix("an ")
    return sentence(phrase(head, line.participle()))


def _cut(rng: Random, line: Line) -> str:
    """As in "Cut to a close-up of the fox. It waves"."""
    cut = rng.choice(camera.CUTS) if line.scene.index else ""
    head = likely(rng, line.view(camera.VIEWS_OF), 0.4)
    return f"{sentence(phrase(cut, head, line.introduction))} {sentence(line.follow_up(rng))}"


def _tail(rng: Random, line: Line) -> str:
    """As in "The fox walks to the left, seen from afar"."""
    tail = likely(rng, line.view(camera.TAILS), 0.3)
    body = line.finite(rng)
    close = tail.startswith(("in a ", "in close", "as ", "while ")) and ", " not in body
    return sentence(f"{body} {tail}" if close else f"{body}, {tail}")


def _camera(rng: Random, line: Line) -> str:
    """As in "The fox waves. The camera is close"."""
    about = sentence(rng.choice(line.view(camera.SENTENCES)))
    body = sentence(line.finite(rng))
    return f"{about} {body}" if rng.random() < 0.5 else f"{body} {about}"


def _watch(rng: Random, line: Line) -> str:
    """As in "Show the fox waving in a close-up"."""
    tail = rng.choice([one for one in line.view(camera.TAILS) if one.startswith(("in ", "as ", "while "))])
    body = f"{rng.choice(camera.WATCHING)} {line.participle()}"
    return sentence(f"{body}, {tail}" if ", " in body else f"{body} {tail}")


def _make(rng: Random, line: Line) -> str:
    """As in "Wide shot. Make the fox walk to the left"."""
    head = sentence(likely(rng, line.view(camera.LEADS), 0.5))
    return f"{head} {sentence(f'{rng.choice(camera.MAKING)} {line.infinitive()}')}"


def _tags(rng: Random, line: Line) -> str:
    """As in "close-up, fox waving, night"."""
    return ", ".join([rng.choice(line.view(camera.TAGS)), *line.tags(rng)])


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
