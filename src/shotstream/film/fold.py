"""What one event makes of a film's record. Pure: the film is its founding record and these, one after the other."""

from __future__ import annotations

from typing import assert_never

from shotstream.core.errors import InputError
from shotstream.film import events as on
from shotstream.film.record import BranchRecord, FilmRecord, ShotRecord, TakeRecord, place_of


def apply(record: FilmRecord, event: on.Edit | on.Direction | on.Fact) -> FilmRecord:
    """``record`` after ``event``. Raises :class:`InputError` if it speaks of a shot or branch that is not there."""
    match event:
        case on.Inserted() | on.Deleted() | on.Moved() | on.Locked():
            return record.with_shots(_shots(record, event))
        case on.Planned():
            for planned in event.takes:
                record = record.with_shot(planned.shot, record.shot(planned.shot).with_take(planned.take))
            return record
        case on.Chosen():
            return record.with_shot(event.shot, _choosing(record.shot(event.shot), event.take))
        case on.Removed():
            return _without_take(record, event.take)
        case on.Branched() | on.Switched() | on.Dropped():
            return _branches(record, event)
        case on.Extended() | on.Changed():
            return _directed(record, event)
        case on.Begun() | on.Ended() | on.Lost():
            return record.everywhere(lambda shots: _made(shots, event))
        case _:
            assert_never(event)


def _shots(record: FilmRecord, event: on.Inserted | on.Deleted | on.Moved | on.Locked) -> tuple[ShotRecord, ...]:
    shots = list(record.shots)
    if isinstance(event, on.Inserted):
        shots.insert(event.at, event.shot)
        return tuple(shots)
    shot = record.shot(event.shot)
    if isinstance(event, on.Locked):
        shots[event.shot] = shot.model_copy(update={"locked": event.locked})
        return tuple(shots)
    del shots[event.shot]
    if isinstance(event, on.Moved):
        shots.insert(event.to, shot)
    return tuple(shots)


def _choosing(shot: ShotRecord, id: int) -> ShotRecord:
    take = shot.take(id)
    if take is None or not take.made:
        raise InputError(f"take {id} cannot be chosen: it is none of the shot's made takes")
    return shot.model_copy(update={"chosen": id})


def _without_take(record: FilmRecord, id: int) -> FilmRecord:
    index, _ = record.find(id)
    takes = tuple(take for take in record.shots[index].takes if take.id != id)
    if takes:
        return record.with_shot(index, record.shots[index].model_copy(update={"takes": takes}))
    return record.with_shots((*record.shots[:index], *record.shots[index + 1 :]))


def _branches(record: FilmRecord, event: on.Branched | on.Switched | on.Dropped) -> FilmRecord:
    here = BranchRecord.model_construct(id=record.branch, name=record.branch_name, shots=record.shots)
    if isinstance(event, on.Branched):
        there = BranchRecord.model_construct(id=event.id, name=event.name, shots=record.shots[: event.shots])
        return _on(record, there, (*record.others, here))
    found = next((branch for branch in record.others if branch.id == event.branch), None)
    if found is None:
        raise InputError(f"there is no other branch {event.branch}")
    rest = tuple(branch for branch in record.others if branch is not found)
    return (
        record.model_copy(update={"others": rest})
        if isinstance(event, on.Dropped)
        else _on(record, found, (*rest, here))
    )


def _on(record: FilmRecord, branch: BranchRecord, others: tuple[BranchRecord, ...]) -> FilmRecord:
    """The film on ``branch``, with those others."""
    ordered = tuple(sorted(others, key=lambda one: one.id))
    update = {"branch": branch.id, "branch_name": branch.name, "shots": branch.shots, "others": ordered}
    return record.model_copy(update=update)


def _directed(record: FilmRecord, event: on.Extended | on.Changed) -> FilmRecord:
    """What was asked of a running take. If the take has gone since, so has the wish."""
    if not record.has(event.take):
        return record
    index, take = record.find(event.take)
    shot = record.shots[index]
    if isinstance(event, on.Changed):
        return record.with_shot(index, shot.with_take(take.changed(event.block, event.caption)))
    kept = shot.with_take(take.model_copy(update={"blocks": None}))
    return record.with_shot(index, kept.model_copy(update={"blocks": event.blocks}))


def _made(shots: tuple[ShotRecord, ...], event: on.Fact) -> tuple[ShotRecord, ...]:
    """How the making of a take stands, in whatever shot it is."""
    if isinstance(event, on.Lost):
        return tuple(_after_loss(shot, set(event.footage)) for shot in shots)
    found = place_of(shots, event.take)
    if found is None:
        return shots
    index, take = found
    if isinstance(event, on.Begun):
        by = {"saw": event.saw, "model": event.model, "model_version": event.model_version}
        shot = shots[index].with_take(take.model_copy(update=by))
    else:
        made = {"state": event.state, "block_frames": event.block_frames, "changes": event.changes}
        own = {"crc32": event.crc32, "blocks": None, "shows": None}
        shot = shots[index].with_take(take.model_copy(update={**made, **own}))
        shot = shot.model_copy(update={"chosen": take.id})
    return (*shots[:index], shot, *shots[index + 1 :])


def _after_loss(shot: ShotRecord, footage: set[int]) -> ShotRecord:
    lost = [take for take in shot.takes if take.made and take.footage in footage]
    for take in lost:
        shot = shot.with_take(_to_make_again(take))
    if any(take.id == shot.chosen for take in lost):
        shot = shot.model_copy(update={"chosen": None})
    return shot


def _to_make_again(take: TakeRecord) -> TakeRecord:
    """Planned as it was made, so that it comes out the same."""
    as_long = len(take.block_frames)
    return take.model_copy(
        update={"state": "planned", "blocks": as_long, "block_frames": (), "crc32": "", "shows": None}
    )
