"""A film's record after one more event. Pure: a film is its founding record and its events, folded."""

from __future__ import annotations

from functools import reduce
from typing import assert_never

from shotstream.core.errors import InputError
from shotstream.film.record import events as on
from shotstream.film.record.film_record import BranchRecord, FilmRecord, ShotRecord, TakeRecord, place_of


def apply(record: FilmRecord, event: on.Edit | on.Direction | on.Fact) -> FilmRecord:
    """``record`` after ``event``. Raises :class:`InputError` if it speaks of a shot or branch that is not there."""
    match event:
        case on.Inserted() | on.Placed() | on.Deleted() | on.Moved() | on.Locked():
            return record.with_shots(_shots(record, event))
        case on.Queued():
            for queued in event.takes:
                record = record.with_shot(queued.shot, record.shot(queued.shot).with_take(queued.take))
            return record
        case on.Revised():
            return record.with_shot(event.shot, record.shot(event.shot).with_take(event.take))
        case on.Retold():
            return _retold(record, event.global_caption)
        case on.Pinned() | on.Unpinned():
            return _references(record, event)
        case on.ContextPolicySet() | on.LoraSet():
            told = {"lora": event.lora} if isinstance(event, on.LoraSet) else {"context_policy": event.policy}
            return record.model_copy(update=told)
        case on.Chosen():
            return record.with_shot(event.shot, _choosing(record.shot(event.shot), event.take))
        case on.Trimmed() | on.Marked():
            return _annotated(record, event)
        case on.Removed():
            return reduce(_without_take, (event.take, *event.also), record)
        case on.Branched() | on.Switched() | on.Dropped():
            return _branches(record, event)
        case on.Extended() | on.Changed():
            return _directed(record, event)
        case on.Lost():
            record = record.everywhere(lambda shots: tuple(_after_loss(shot, set(event.footage)) for shot in shots))
            kept = tuple(one for one in record.references if one.picture.footage not in event.footage)
            return record.model_copy(update={"references": kept})
        case on.Begun() | on.Ended():
            return record.everywhere(lambda shots: _made(shots, event, record.global_caption))
        case _:
            assert_never(event)


_OfShots = on.Inserted | on.Placed | on.Deleted | on.Moved | on.Locked


def _shots(record: FilmRecord, event: _OfShots) -> tuple[ShotRecord, ...]:
    shots = list(record.shots)
    if isinstance(event, on.Placed):
        shots[event.at : event.at] = event.shots
        return tuple(shots)
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


def _references(record: FilmRecord, event: on.Pinned | on.Unpinned) -> FilmRecord:
    if isinstance(event, on.Pinned):
        return record.model_copy(update={"references": (*record.references, event.reference)})
    kept = tuple(one for one in record.references if one.picture.id != event.picture)
    if len(kept) == len(record.references):
        raise InputError(f"picture {event.picture} is not pinned")
    return record.model_copy(update={"references": kept})


def _choosing(shot: ShotRecord, id: int) -> ShotRecord:
    take = shot.take(id)
    if take is None or not take.made:
        raise InputError(f"take {id} cannot be chosen: it is none of the shot's made takes")
    return shot.model_copy(update={"chosen": id})


def _annotated(record: FilmRecord, event: on.Trimmed | on.Marked) -> FilmRecord:
    """A made take with other in and out points, or other markers: in this branch alone."""
    index, take = record.find(event.take)
    update = {"trim": event.trim} if isinstance(event, on.Trimmed) else {"markers": event.markers}
    return record.with_shot(index, record.shots[index].with_take(take.model_copy(update=update)))


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
    """Apply a direction to a running take; no effect if the take has gone since."""
    if not record.has(event.take):
        return record
    index, take = record.find(event.take)
    shot = record.shots[index]
    if isinstance(event, on.Changed):
        return record.with_shot(index, shot.with_take(take.changed(event.change)))
    kept = shot.with_take(take.model_copy(update={"blocks": None}))
    return record.with_shot(index, kept.model_copy(update={"blocks": event.blocks}))


def _retold(record: FilmRecord, global_caption: str) -> FilmRecord:
    """The film under another global caption; takes that were begun know which one was theirs."""

    def kept(take: TakeRecord) -> TakeRecord:
        under = take.story or record.global_caption
        return take.model_copy(update={"story": None if under == global_caption else under}) if take.model else take

    def shot_of(shot: ShotRecord) -> ShotRecord:
        return shot.model_copy(update={"takes": tuple(kept(take) for take in shot.takes)})

    told = record.everywhere(lambda shots: tuple(shot_of(shot) for shot in shots))
    return told.model_copy(update={"global_caption": global_caption})


def _made(shots: tuple[ShotRecord, ...], event: on.Begun | on.Ended, global_caption: str) -> tuple[ShotRecord, ...]:
    """How the making of a take stands, in whatever shot it is."""
    found = place_of(shots, event.take)
    if found is None:
        return shots
    index, take = found
    if isinstance(event, on.Begun):
        story = None if event.story == global_caption else event.story
        made_by = {"model": event.model, "model_version": event.model_version, "lora": event.lora}
        by = {"saw": event.saw, "story": story, **made_by}
        shot = shots[index].with_take(take.model_copy(update=by))
    else:
        made = {"state": event.state, "block_frames": event.block_frames, "changes": event.changes}
        version = event.model_version or take.model_version
        own = {"crc32": event.crc32, "blocks": None, "shows": None, "model_version": version}
        frames = sum(event.block_frames)
        fits = take.trim is None or take.trim.stop <= frames  # it was trimmed before, and is made again
        noted = tuple(marker for marker in take.markers if marker.frame < frames)
        kept = {"trim": take.trim if fits else None, "markers": noted}
        shot = shots[index].with_take(take.model_copy(update={**made, **own, **kept}))
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
    """Queued as it was made, so that it comes out the same; what came from a file, so that the model makes it."""
    as_long = len(take.block_frames)
    return take.model_copy(
        update={"state": "planned", "blocks": as_long, "block_frames": (), "crc32": "", "shows": None, "source": ""}
    )
