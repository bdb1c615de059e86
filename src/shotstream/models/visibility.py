"""Which frames attend to which, written once: training masks, cached passes and the teacher follow from it.

A sequence of latent frames is described by one :class:`Tag` per frame. A frame q sees a frame k if

- k is a condition frame, or
- k is history (its content will not change any more) of an earlier block, or
- both belong to the same block and the same copy of it;

and condition frames see only condition frames. "Copy": training may hold every block twice, once clean
(history) and once noisy. Layouts are plain tuples, so their attention plan is computed once and cached.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import NamedTuple


class Tag(NamedTuple):
    """What the rule must know about one latent frame. ``block`` counts within the shot; -1 for condition frames."""

    block: int
    history: bool = True

    @property
    def condition(self) -> bool:
        return self.block < 0


Layout = tuple[Tag, ...]
CONDITION = Tag(-1)


class Segment(NamedTuple):
    """Frames ``queries`` all see exactly the frames of the ascending, disjoint slices ``keys``."""

    queries: slice
    keys: tuple[slice, ...]


def sees(query: Tag, key: Tag) -> bool:
    """The rule."""
    if key.condition:
        return True
    if query.condition:
        return False
    if key.history and key.block < query.block:
        return True
    return key.block == query.block and key.history == query.history


def everything(frames: int) -> Layout:
    """All frames in one block: full attention, the reference's bidirectional teacher."""
    return (Tag(0),) * frames


def next_shot(condition: int, frames: int) -> Layout:
    """Condition frames that see only each other, then a whole shot as one block: our own teacher."""
    return (CONDITION,) * condition + (Tag(0),) * frames


def block_causal(condition: int, frames: int, block_frames: int) -> Layout:
    """Condition frames, then blocks that see every earlier block of the input as it is (CausVid)."""
    return (CONDITION,) * condition + tuple(Tag(frame // block_frames) for frame in range(frames))


def clean_and_noisy(condition: int, frames: int, block_frames: int) -> Layout:
    """Condition frames, all blocks clean, then all blocks noisy: a noisy block sees only clean history."""
    clean = tuple(Tag(frame // block_frames) for frame in range(frames))
    return (CONDITION,) * condition + clean + tuple(Tag(tag.block, history=False) for tag in clean)


def clean_then_noisy(clean: int, noisy: int) -> Layout:
    """``clean`` frames of a finished block beside ``noisy`` ones of the next: refresh and first step in one pass."""
    return (Tag(0),) * clean + (Tag(1, history=False),) * noisy


@lru_cache(maxsize=256)
def segments(layout: Layout) -> tuple[Segment, ...]:
    """Group neighbouring frames that see the same frames, so that attention needs no mask at all."""
    rows = [tuple(sees(query, key) for key in layout) for query in layout]
    plan, start = [], 0
    for row, group in groupby(rows):
        stop = start + len(list(group))
        plan.append(Segment(slice(start, stop), _runs(row)))
        start = stop
    return tuple(plan)


def _runs(row: tuple[bool, ...]) -> tuple[slice, ...]:
    """The runs of True in ``row`` as slices."""
    runs, start = [], 0
    for visible, group in groupby(row):
        stop = start + len(list(group))
        if visible:
            runs.append(slice(start, stop))
        start = stop
    return tuple(runs)
