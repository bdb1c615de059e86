"""A film as the page sees it."""

from __future__ import annotations

from itertools import takewhile

from shotstream.film.film import Film
from shotstream.film.record import BranchRecord, FilmRecord, ShotRecord, TakeRecord
from shotstream.serving.protocol import BranchView, FilmView, Point, ShotView, TakeView


def film_view(id: str, film: Film, *, paused: bool, position: Point | None) -> FilmView:
    """``film`` as it stands."""
    stale, record = film.stale, film.record
    running = None if film.running is None else film.running.id
    shots = tuple(
        ShotView(
            caption=shot.caption,
            seconds=film.geometry.shot_seconds(shot.blocks),
            takes=tuple(_take_view(film, take, running) for take in shot.takes),
            chosen=shot.chosen,
            stale=index in stale,
            locked=shot.locked,
        )
        for index, shot in enumerate(record.shots)
    )
    return FilmView(
        id=id,
        global_caption=record.global_caption,
        seed=record.seed,
        width=record.width,
        height=record.height,
        fps=record.fps,
        shots=shots,
        queue=tuple(take.id for take in film.queue),
        running=running,
        paused=paused,
        position=position,
        branch=record.branch_name,
        branches=tuple(
            BranchView(name=one.name, shots=len(one.shots), shared=_shared(record, one)) for one in record.branches
        ),
        undo=film.undoable,
        redo=film.redoable,
    )


def _shared(record: FilmRecord, branch: BranchRecord) -> int:
    """How many of the first shots of ``branch`` show the takes that those of the branch the film is on show."""
    pairs = zip(record.shots, branch.shots, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _shown(pair[0]) == _shown(pair[1]), pairs))


def _shown(shot: ShotRecord) -> int:
    return shot.takes[0].id if shot.chosen is None else shot.chosen


def _take_view(film: Film, take: TakeRecord, running: int | None) -> TakeView:
    live = take.id == running
    return TakeView(
        id=take.id,
        state="running" if live else take.state,
        frames=film.take(take.id).frame_count if live else take.frames,
        seed=take.seed,
        saw=tuple(Point(take=seen.take, frame=seen.frame) for seen in take.saw),
        changes=tuple(change.caption for change in take.changes),
    )
