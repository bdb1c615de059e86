"""Which past frames condition the next shot, within a fixed budget.

The default is the paper's dynamic sampling (arXiv 2603.25746, section 4.1; where the text and the published
code differ, as in the remainder, this is the code). A policy is a function; others plug in beside it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

PolicyName = Literal["dynamic", "recency", "first-last", "retrieval", "first-frames", "end-frames"]


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


PINNED_SHOT = -1  # the shot number of a reference image: before the first
_ARTICLES = frozenset(("a", "an", "the"))


def reference_name(caption: str) -> str:
    """What the caption of a reference image names: the words before its colon (``the fox: a red fox with a blue hat``);
    blank if it names nothing."""
    name, colon, looks = caption.partition(":")
    return name.strip() if colon and looks.strip() and _words(name) - _ARTICLES else ""


def named_references(captions: Sequence[str], prompt: str, most: int) -> list[int]:
    """Which reference images with these ``captions`` the ``prompt`` names: at most ``most``, those it names last."""
    last = {word: place for place, word in enumerate(re.findall(r"\w+", prompt.lower()))}
    found = []
    for index, caption in enumerate(captions):
        words = _words(reference_name(caption)) - _ARTICLES
        if words and words <= last.keys():
            found.append((max(last[word] for word in words), index))
    return sorted(index for _, index in sorted(found)[-most:])


def evenly_spread(frames: int, count: int) -> list[int]:
    """``count`` frames spread evenly from the first to the last of ``frames``; a single one is the first."""
    if count == 1:
        return [0]
    return [round(i * (frames - 1) / (count - 1)) for i in range(count)]


def shares(shots: int, budget: int) -> list[int]:
    """Frames each of ``shots`` (at most ``budget``) gets: equal shares, the remainder one each to the latest."""
    share, rest = divmod(budget, shots)
    return [share + (index >= shots - rest) for index in range(shots)]


def pickable_frames(frames: int, budget: int) -> list[int]:
    """Every frame of a shot of ``frames`` that dynamic sampling could pick under a budget of ``budget``, ascending."""
    counts = {budget // shots for shots in range(1, budget + 1)}
    counts |= {budget // shots + 1 for shots in range(2, budget + 1)}
    return sorted({frame for count in counts if count <= budget for frame in evenly_spread(frames, count)})


def dynamic_sampling(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The paper's policy: the last ``budget`` shots at most, equal shares, frames spread over each shot."""
    return _sample(past, range(max(0, len(past) - budget), len(past)), budget)


def recency(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The whole budget to the latest shot."""
    return _sample(past, range(max(0, len(past) - 1), len(past)), budget)


def first_last(past: Sequence[PastShot], budget: int, caption: str = "") -> tuple[ContextFrame, ...]:
    """The story's first shot and its latest share the budget."""
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


def retrieval(past: Sequence[PastShot], budget: int, caption: str) -> tuple[ContextFrame, ...]:
    """The latest shot, the first, and those whose captions cover the words of ``caption``: for long stories.

    A word counts the more, the fewer past captions hold it, so what all prompts share counts nothing; and half as much
    for every chosen shot that holds it, so that character and place each find their own. Ties: the
    later shot. The first shot stays because a story's opening place is often named in the global caption alone.
    """
    if not past:
        return ()
    said, wanted = [_words(shot.caption) for shot in past], _words(caption)
    held = Counter(word for words in said for word in words & wanted)
    worth = {word: math.log((len(past) + 1) / (held[word] + 0.5)) for word in sorted(held)}
    chosen: list[int] = []
    for shot in (len(past) - 1, 0):
        if shot not in chosen and len(chosen) < budget:
            chosen.append(shot)
            _cover(worth, said[shot])
    while len(chosen) < min(len(past), budget):
        left = [shot for shot in range(len(past)) if shot not in chosen]
        best = max(left, key=lambda shot: (sum(worth[word] for word in worth if word in said[shot]), shot))
        chosen.append(best)
        _cover(worth, said[best])
    return _sample(past, sorted(chosen), budget)


POLICIES: dict[PolicyName, ContextPolicy] = {
    "dynamic": dynamic_sampling,
    "recency": recency,
    "first-last": first_last,
    "retrieval": retrieval,
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


def _cover(worth: dict[str, float], words: frozenset[str]) -> None:
    """Words that a chosen shot holds are worth half."""
    for word in worth:
        if word in words:
            worth[word] /= 2


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))
