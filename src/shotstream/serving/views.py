"""A film as the live protocol describes it."""

from __future__ import annotations

from itertools import takewhile

from shotstream.film.film import Film
from shotstream.film.record.film_record import BranchRecord, FilmRecord, ShotRecord, TakeRecord
from shotstream.film.record.script import said_lora
from shotstream.film.takes.take import Take
from shotstream.serving.protocol import BranchView, FilmView, MarkerView, Point, ReferenceView, ShotView, TakeView


def film_view(id: str, film: Film, *, name: str, paused: bool, position: Point | None, begun: Take | None) -> FilmView:
    """``film`` as it stands. ``begun``: the take whose first block is being made, which does not run before."""
    stale, record = film.stale, film.record
    take = film.running or begun
    running = None if take is None else take.id
    shots = tuple(
        ShotView(
            caption=shot.current_caption,
            seconds=film.geometry.shot_seconds(shot.blocks_of(shot.takes[-1])),
            takes=tuple(_take_view(film, shot, take, running) for take in shot.takes),
            chosen=shot.chosen,
            stale=index in stale,
            locked=shot.locked,
            endless=any(shot.goes_on(take) for take in shot.takes),
        )
        for index, shot in enumerate(record.shots)
    )
    return FilmView(
        id=id,
        name=name,
        global_caption=record.global_caption,
        seed=record.seed,
        context_policy=record.context_policy,
        width=record.width,
        height=record.height,
        fps=record.fps,
        shots=shots,
        queue=tuple(take.id for take in film.queue if take.id != running),
        running=running,
        paused=paused,
        position=position,
        branch=record.branch_name,
        branches=tuple(
            BranchView(name=one.name, shots=len(one.shots), shared=_shared(record, one)) for one in record.branches
        ),
        undo=film.undoable,
        redo=film.redoable,
        lora=said_lora(record.lora),
        references=tuple(
            ReferenceView(id=one.picture.id, name=one.name, caption=one.caption) for one in record.references
        ),
    )


def _shared(record: FilmRecord, branch: BranchRecord) -> int:
    """How many of the first shots of ``branch`` show the takes that those of the branch the film is on show."""
    pairs = zip(record.shots, branch.shots, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _shown(pair[0]) == _shown(pair[1]), pairs))


def _shown(shot: ShotRecord) -> int:
    return shot.takes[0].id if shot.chosen is None else shot.chosen


def _take_view(film: Film, shot: ShotRecord, take: TakeRecord, running: int | None) -> TakeView:
    live = take.id == running
    geometry = film.geometry
    frames = film.take(take.id).frame_count if live else take.frames
    return TakeView(
        id=take.id,
        state="running" if live else take.state,
        frames=frames,
        seconds=take.frames / geometry.fps if take.made else geometry.shot_seconds(shot.blocks_of(take)),
        seed=take.seed,
        caption=shot.caption_at(take, 0),
        saw=tuple(Point(take=seen.take, frame=seen.frame) for seen in take.saw),
        changes=tuple(change.caption for change in take.changes if change.block),
        start=take.shown.start if take.made else 0,
        stop=take.shown.stop if take.made else frames,
        markers=tuple(MarkerView(frame=one.frame, text=one.text) for one in take.markers),
        source=take.source,
        lora=said_lora(take.lora) or {},
        version=take.model_version,
        story=take.story,
    )
