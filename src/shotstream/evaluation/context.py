"""Measures context policies: whether the condition frames they choose show what comes back later.

Nothing is generated: policies see the captions of a suite's stories, and the world knows which shots show whom and
where. So this says what a model could know, whatever its weights make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from shotstream.core.config import Config
from shotstream.core.context_budget import POLICIES, ContextPolicy, PastShot
from shotstream.core.errors import InputError
from shotstream.core.story import full_prompt
from shotstream.data.world.spec import WorldStory
from shotstream.evaluation.statistics import Interval, bootstrap
from shotstream.evaluation.suites import LATE, Suite, shown_in

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
