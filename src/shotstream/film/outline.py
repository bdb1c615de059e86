"""A film as it stands, shot by shot and branch by branch, for whoever looks at it."""

from __future__ import annotations

from dataclasses import dataclass

from shotstream.film.editor import Editor
from shotstream.film.take import Take


@dataclass(frozen=True, slots=True)
class ShotView:
    """One shot as it stands. ``stale``: the chosen take saw frames that are no longer in the film."""

    index: int
    caption: str
    seconds: float
    takes: tuple[Take, ...]
    chosen: Take | None
    stale: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class BranchView:
    """One branch. ``current``: the film is on it."""

    name: str
    shots: int
    current: bool


def shots_of(film: Editor) -> tuple[ShotView, ...]:
    """Every shot of the branch ``film`` is on."""
    stale = film.stale
    return tuple(
        ShotView(
            index=index,
            caption=shot.caption,
            seconds=film.geometry.shot_seconds(shot.blocks),
            takes=tuple(film.take(take.id) for take in shot.takes),
            chosen=None if shot.chosen is None else film.take(shot.chosen),
            stale=index in stale,
            locked=shot.locked,
        )
        for index, shot in enumerate(film.record.shots)
    )


def branches_of(film: Editor) -> tuple[BranchView, ...]:
    """Every branch, the oldest first."""
    record = film.record
    return tuple(BranchView(one.name, len(one.shots), one.id == record.branch) for one in record.branches)
