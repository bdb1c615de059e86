"""A film as the page sees it."""

from __future__ import annotations

from shotstream.film.film import Film
from shotstream.film.record import TakeRecord
from shotstream.serving.protocol import FilmView, Point, ShotView, TakeView


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
    )


def _take_view(film: Film, take: TakeRecord, running: int | None) -> TakeView:
    live = take.id == running
    return TakeView(
        id=take.id,
        state="running" if live else take.state,
        frames=len(film.take(take.id).frames) if live and film.take(take.id).blocks_made else take.frames,
        seed=take.seed,
        saw=tuple(Point(take=seen.take, frame=seen.frame) for seen in take.saw),
        changes=tuple(change.caption for change in take.changes),
    )
