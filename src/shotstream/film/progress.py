"""What a film holds of the shot that is being made, and of the one that comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shotstream.core.context_budget import ContextFrame
from shotstream.film.memory import PastTake
from shotstream.sampling.director import ShotPlan
from shotstream.sampling.streaming import StreamingShot

if TYPE_CHECKING:
    from shotstream.film.take import Take


@dataclass(frozen=True, slots=True)
class Running:
    """The take being made, the plan its maker looks at before every block, and the caption of each block so far."""

    take: Take
    plan: ShotPlan
    captions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recalled past, and what was recalled: it fits a shot that would recall the same."""

    key: tuple[object, ...]
    shot: StreamingShot


def recalled(past: Sequence[PastTake], chosen: Sequence[ContextFrame], read: str) -> tuple[object, ...]:
    """All that the context of a shot after ``past`` depends on, when it remembers the frames ``chosen``, which read
    the caption ``read`` (empty: each its own shot's)."""
    seen = [(past[frame.shot], frame.frame) for frame in chosen]
    return read, *((shot.index, shot.prompt, shot.take.id, frame) for shot, frame in seen)
