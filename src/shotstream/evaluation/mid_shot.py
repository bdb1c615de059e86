"""Measures caption changes in the middle of a shot: whether they show, and whether the place is kept.

Held-out stories' first shots with one character are begun under their own caption. After ``BEFORE`` blocks the caption
becomes that of the same shot with one thing different: the time, the weather or what the character does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.data.world.captions import caption_story
from shotstream.data.world.spec import ACTIONS, TIMES, WEATHERS, Told, WorldShot, WorldStory
from shotstream.data.world.truth import asked_attributes
from shotstream.evaluation.recognisers import Recognisers, ShotReading
from shotstream.evaluation.statistics import Interval, bootstrap
from shotstream.evaluation.systems import ShotMaker
from shotstream.sampling.noise import NamedNoise
from shotstream.sampling.shot_generator import ShotRequest

BEFORE = 2  # blocks under the first caption
WITHIN = 2  # blocks under the second one, after which the change is to be seen
ANSWERS = {"time": TIMES, "weather": WEATHERS, "focus.action": ACTIONS}  # what changes, and into what it can
ALONE = (0,)  # the slot of an only character


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """``before`` and ``after``: captions that tell ``attribute`` differently; ``answer``: its label afterwards.
    ``changed``: the story whose first shot is as ``after`` says."""

    story: WorldStory
    changed: WorldStory
    attribute: str
    before: str
    after: str
    answer: int


class ChangeScores(Config):
    """Shares of ``changes``. ``before``: the new answer is read off the blocks before the change (the floor);
    ``after``: off the ``WITHIN`` blocks behind it; ``whole``: off the same blocks of a shot made under the second
    caption from its beginning (what the model can do at all). ``place_kept``: the place reads as before."""

    changes: int
    before: Interval
    after: Interval
    whole: Interval
    place_kept: Interval


def find_changes(stories: Sequence[WorldStory]) -> Iterator[Change]:
    """At most one change a story; what changes takes turns."""
    turns = cycle(ANSWERS)
    for story in stories:
        if len(story.shots[0].roles) > 1:
            continue
        found = change_of(story, next(turns))
        if found is not None:
            yield found


def change_of(story: WorldStory, attribute: str) -> Change | None:
    """The first change of ``attribute`` in the first shot that both captions say and the global caption leaves open."""
    told = caption_story(story)
    if _says(told.whole.told, attribute) is not None or _says(told.shots[0].told, attribute) is None:
        return None
    values = ANSWERS[attribute]
    first = story.seed % len(values)  # not all stories into the same
    for value in (*values[first:], *values[:first]):
        shot = _changed(story.shots[0], attribute, value)
        other = replace(story, shots=(shot, *story.shots[1:]))
        caption = caption_story(other).shots[0]
        answer = asked_attributes(other, 0)[attribute]
        if answer != asked_attributes(story, 0)[attribute] and _says(caption.told, attribute) is not None:
            before, after = told.shots[0].text, caption.text
            return Change(story=story, changed=other, attribute=attribute, before=before, after=after, answer=answer)
    return None


def _changed(shot: WorldShot, attribute: str, value: Any) -> WorldShot:
    if attribute == "focus.action":
        return replace(shot, roles=(replace(shot.roles[0], action=value),))
    return replace(shot, time=value) if attribute == "time" else replace(shot, weather=value)


def _says(told: Told, attribute: str) -> object | None:
    """What a caption says of ``attribute``; None if nothing."""
    if attribute == "focus.action":
        return next((aspect for _, aspect in told.cast if aspect == "action"), None)
    return told.time if attribute == "time" else told.weather


def score_changes(
    maker: ShotMaker, recognisers: Recognisers, changes: Sequence[Change], tell: Callable[[int], None]
) -> dict[str, ChangeScores]:
    """Scores of every attribute, and of all together under ``all``; ``tell``: how many changes are done.

    Raises :class:`InputError` if there are none.
    """
    if not changes:
        raise InputError("none of these stories has a first shot that can change; take more stories")
    rows: dict[str, list[tuple[bool, bool, bool, bool]]] = {}
    for done, change in enumerate(changes, start=1):
        row = _measured(maker, recognisers, change)
        for name in (change.attribute, "all"):
            rows.setdefault(name, []).append(row)
        tell(done)
    names = [name for name in (*ANSWERS, "all") if name in rows]
    return {name: _scores(rows[name]) for name in names}


def _scores(rows: Sequence[tuple[bool, bool, bool, bool]]) -> ChangeScores:
    columns = zip(*rows, strict=True)
    before, after, whole, place_kept = (bootstrap([float(seen) for seen in column]) for column in columns)
    return ChangeScores(changes=len(rows), before=before, after=after, whole=whole, place_kept=place_kept)


def _measured(maker: ShotMaker, recognisers: Recognisers, change: Change) -> tuple[bool, bool, bool, bool]:
    """Is the new answer read before, after, and in a shot that is so from the start? Is the place kept?"""
    first, then = _filmed(maker, recognisers, change, change.before, change.after)
    _, whole = _filmed(maker, recognisers, change, change.after, None)

    def seen(reading: ShotReading) -> bool:
        return int(reading.answer(change.attribute, ALONE).argmax()) == change.answer

    same_place = int(first.answer("place", ALONE).argmax()) == int(then.answer("place", ALONE).argmax())
    return seen(first), seen(then), seen(whole), same_place


def _filmed(
    maker: ShotMaker, recognisers: Recognisers, change: Change, caption: str, later: str | None
) -> tuple[ShotReading, ShotReading]:
    """What is read off the first ``BEFORE`` blocks of a shot, and off the next ``WITHIN``."""
    whole = change.story.global_caption
    noise = NamedNoise(change.story.seed, shot=0)
    request = ShotRequest(prompt=maker.prompt(whole, caption, 0), blocks=BEFORE + WITHIN, noise=noise)
    blocks = []
    for block in maker.make(request, maker.choose_context((), request.prompt)):
        blocks.append(block.frames)
        if len(blocks) == BEFORE and later is not None:
            request.prompt = maker.prompt(whole, later, 0)
    parts = (blocks[:BEFORE], blocks[BEFORE:])
    first, then = (recognisers.read(np.concatenate(part), maker.geometry.fps) for part in parts)
    return first, then
