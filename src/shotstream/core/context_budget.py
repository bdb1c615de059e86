"""Which past frames condition the next shot, within a fixed budget.

The default is the paper's dynamic sampling (arXiv 2603.25746, section 3.2; where the text and the published
code differ, as in the remainder, this is the code). A policy is a function; others plug in beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

PolicyName = Literal["dynamic", "recency", "first-last", "caption", "first-frames", "end-frames"]


class PastShot(NamedTuple):
    """What a policy may know of a finished shot: its pixel frames and its words."""

    frames: int
    caption: str = ""


class ContextFrame(NamedTuple):
    """Frame ``frame`` of shot ``shot``, both from 0; the shot is an index into the sequence of past shots."""

    shot: int
    frame: int


class ContextPolicy(Protocol):
    """Chooses exactly ``budget`` frames of ``past``, oldest first; none if there is no past shot."""

    def __call__(self, past: Sequence[PastShot], budget: int, caption: str) -> tuple[ContextFrame, ...]: ...


def evenly_spread(frames: int, count: int) -> list[int]:
    """``count`` frames spread evenly from the first to the last of ``frames``; a single one is the first."""
    if count == 1:
        return [0]
    return [round(i * (frames - 1) / (count - 1)) for i in range(count)]


def shares(shots: int, budget: int) -> list[int]:
    """Frames each of ``shots`` (at most ``budget``) gets: equal shares, the remainder one each to the latest."""
    share, rest = divmod(budget, shots)
    return [share + (index >= shots - rest) for index in range(shots)]


def dynamic_sampling(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The paper's policy: the last ``budget`` shots at most, equal shares, frames spread over each shot."""
    return _sample(past, range(max(0, len(past) - budget), len(past)), budget)


def recency(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The whole budget to the latest shot."""
    return _sample(past, range(max(0, len(past) - 1), len(past)), budget)


def first_last(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The story's first shot and its latest share the budget: nobody forgets who it was about."""
    return _sample(past, sorted({0, len(past) - 1}) if past else (), budget)


def first_frames(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """Dynamic sampling's shots and shares, of every shot its first frame alone, repeated (table 3, "first only")."""
    return tuple(ContextFrame(shot, 0) for shot, _ in dynamic_sampling(past, budget))


def end_frames(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The same with first and last frames (table 3, "first & last"): half of a share each, the first with the odd."""
    counts = Counter(frame.shot for frame in dynamic_sampling(past, budget))
    return tuple(
        ContextFrame(shot, 0 if number < share - share // 2 else past[shot].frames - 1)
        for shot, share in counts.items()
        for number in range(share)
    )


def by_caption(past: Sequence[PastShot], budget: int, caption: str) -> tuple[ContextFrame, ...]:
    """The latest shot, and those whose captions share most words with ``caption`` (ties: the later)."""
    wanted = _words(caption)
    earlier = sorted(range(len(past) - 1), key=lambda index: (len(wanted & _words(past[index].caption)), index))
    chosen = [*earlier[max(0, len(earlier) - budget + 1) :], *range(max(0, len(past) - 1), len(past))]
    return _sample(past, sorted(chosen), budget)


POLICIES: dict[PolicyName, ContextPolicy] = {
    "dynamic": dynamic_sampling,
    "recency": recency,
    "first-last": first_last,
    "caption": by_caption,
    "first-frames": first_frames,
    "end-frames": end_frames,
}


def _sample(past: Sequence[PastShot], chosen: Sequence[int], budget: int) -> tuple[ContextFrame, ...]:
    """Divide the budget among ``chosen`` shots; with fewer frames than shots the latest win."""
    chosen = chosen[-budget:]
    if not chosen:
        return ()
    counts = shares(len(chosen), budget)
    return tuple(
        ContextFrame(shot, frame)
        for shot, count in zip(chosen, counts, strict=True)
        for frame in evenly_spread(past[shot].frames, count)
    )


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
