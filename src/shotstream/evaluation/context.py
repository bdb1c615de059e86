"""Measures of conditioning: what context policies choose, and what a caption does in the middle of a shot.

Context policies: do the condition frames they choose show what comes back later? Nothing is generated: policies see the
captions of a suite's stories, and the world knows which shots show whom and where. So this says what a model could
know, whatever its weights make of it.
Caption changes: do they show, and is the place kept? Held-out stories' first shots with one character are begun under
their own caption. After ``BEFORE`` blocks the caption becomes that of the same shot with one thing different: the
time, the weather or what the character does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from shotstream.core.config import Config
from shotstream.core.context_budget import POLICIES, ContextPolicy, PastShot
from shotstream.core.errors import InputError
from shotstream.core.story import full_prompt
from shotstream.data.world.captions import caption_story
from shotstream.data.world.spec import ACTIONS, TIMES, WEATHERS, Told, WorldShot, WorldStory
from shotstream.data.world.truth import asked_attributes
from shotstream.evaluation.judge import Recognisers, ShotReading
from shotstream.evaluation.measures import Interval, bootstrap
from shotstream.evaluation.run import ShotMaker
from shotstream.evaluation.suites import LATE, Suite, shown_in
from shotstream.sampling.rollout import NamedNoise
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


FRAMES = 21  # of every shot; which shots are chosen does not depend on it


class Return(NamedTuple):
    """A place or a character that comes back. ``away``: for how many shots; ``held``: is it in a condition frame?
    ``share``: of the condition frames."""

    away: int
    held: bool
    share: float


class ContextScores(Config):
    """Shares, means over the stories that have such returns: away for 1 to 3 shots, for 4 and more (``late``), and for
    as many as the budget or more (``beyond``). ``late_share``: of the condition frames, those that show what returns.
    ``returns``: how many there are of each. A measure without any return is None.
    """

    stories: int
    returns: dict[str, int]
    near_held: Interval | None
    late_held: Interval | None
    beyond_held: Interval | None
    late_share: Interval | None


def score_context(stories: Sequence[WorldStory], policy: ContextPolicy, budget: int) -> ContextScores:
    """How much of what returns in ``stories`` is in the ``budget`` condition frames that ``policy`` chooses."""
    told = [list(find_returns(story, policy, budget)) for story in stories]
    kinds: dict[str, Callable[[Return], bool]] = {
        "near": lambda one: one.away < LATE,
        "late": lambda one: one.away >= LATE,
        "beyond": lambda one: one.away >= budget,
    }
    held = {name: _mean(told, kind, lambda one: float(one.held)) for name, kind in kinds.items()}
    return ContextScores(
        stories=len(stories),
        returns={name: sum(kind(one) for found in told for one in found) for name, kind in kinds.items()},
        near_held=held["near"],
        late_held=held["late"],
        beyond_held=held["beyond"],
        late_share=_mean(told, kinds["late"], lambda one: one.share),
    )


def score_by_length(
    suite: Suite, count: int | None, policies: Sequence[str], budget: int
) -> dict[int, dict[str, ContextScores]]:
    """:func:`score_context` of the first ``count`` stories, by their number of shots and by policy.

    Raises :class:`InputError` for an unknown policy.
    """
    for name in policies:
        if name not in POLICIES:
            raise InputError(f"no context policy is called {name!r}; known: {', '.join(POLICIES)}")
    stories = [one.story for one in suite.first(count)]
    return {
        shots: {
            name: score_context([one for one in stories if len(one.shots) == shots], policy, budget)
            for name, policy in POLICIES.items()
            if name in policies
        }
        for shots in sorted({len(one.shots) for one in stories})
    }


def find_returns(story: WorldStory, policy: ContextPolicy, budget: int) -> Iterator[Return]:
    """Every return in ``story``, in order; one per place and character of a shot that was seen before, but not in the
    shot just before it."""
    prompts = [full_prompt(story.global_caption, shot.caption) for shot in story.shots]
    past = [PastShot(FRAMES, prompt) for prompt in prompts]
    shown = [shown_in(shot) for shot in story.shots]
    last = dict.fromkeys(shown[0], 0) if shown else {}
    for index in range(1, len(shown)):
        chosen = policy(past[:index], budget, prompts[index])
        for one in sorted(shown[index] & last.keys()):
            away = index - last[one] - 1
            showing = sum(one in shown[frame.shot] for frame in chosen)
            if away:
                yield Return(away, showing > 0, showing / len(chosen))
        last |= dict.fromkeys(shown[index], index)


def _mean(
    stories: Sequence[Sequence[Return]], kind: Callable[[Return], bool], value: Callable[[Return], float]
) -> Interval | None:
    """The mean over stories of their mean ``value`` over returns of ``kind``."""
    found = [[value(one) for one in story if kind(one)] for story in stories]
    means = [sum(values) / len(values) for values in found if values]
    return bootstrap(means) if means else None
