"""Every command that edits a film as the event it becomes, or the reason why not. Pure: nothing here changes a film."""

from __future__ import annotations

from collections.abc import Sequence

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.film.events import (
    Branched,
    Chosen,
    Deleted,
    Dropped,
    Inserted,
    Locked,
    Moved,
    Planned,
    PlannedTake,
    Removed,
    Switched,
)
from shotstream.film.history import History
from shotstream.film.record import MAX_BRANCHES, MAX_SHOTS, MAX_TAKES, BranchRecord, FilmRecord, ShotRecord, TakeRecord
from shotstream.film.script import checked_shot


def insert(
    history: History, geometry: Geometry, at: int, caption: str, seconds: float | None, seed: int | None
) -> Inserted:
    """A new shot before shot ``at`` (at the end: the number of shots), with its first take planned."""
    record = history.record
    _refuse_full(history, 1)
    if not 0 <= at <= len(record.shots):
        raise InputError(f"a shot can be put in at 0 to {len(record.shots)}, not at {at}")
    shot = checked_shot(at, caption, seconds, seed)
    first = TakeRecord(id=history.next_take, seed=_seed(record, at, shot.seed, record.seed, 0))
    blocks = shot.blocks(geometry)
    return Inserted(at=at, shot=ShotRecord(caption=shot.caption, blocks=blocks, seed=shot.seed, takes=(first,)))


def duplicate(history: History, index: int) -> Inserted:
    """A copy of shot ``index`` right behind it: the chosen take with its pictures, or the same take planned again."""
    shot = history.record.shot(index)
    _refuse_full(history, 1)
    take = shot.choice or shot.takes[0]
    copy = take.model_copy(update={"id": history.next_take, "shows": take.footage if take.made else None})
    update = {"takes": (copy,), "chosen": copy.id if copy.made else None, "locked": False}
    return Inserted(at=index + 1, shot=shot.model_copy(update=update))


def delete(record: FilmRecord, index: int) -> Deleted:
    """Shot ``index`` and its takes go."""
    _refuse_locked(record, index, "deleted")
    return Deleted(shot=index)


def move(record: FilmRecord, index: int, to: int) -> Moved:
    """Shot ``index`` becomes shot ``to``."""
    record.shot(index)
    record.shot(to)
    return Moved(shot=index, to=to)


def retake(history: History, index: int, seed: int | None) -> Planned:
    """Another take of a made shot, with noise of its own."""
    record, shot = history.record, history.record.shot(index)
    old = _made_choice(record, index, "retaken")
    _refuse_full(history, 0)
    checked_shot(index, shot.caption, seed=seed)
    base = record.seed if shot.seed is None else shot.seed
    named = _seed(record, index, seed, base, len(shot.takes))
    take = TakeRecord(id=history.next_take, seed=named, changes=old.changes)
    return Planned(takes=(PlannedTake(shot=index, take=take),))


def remake(history: History, indices: Sequence[int]) -> Planned:
    """The chosen takes of these shots again, each with its own noise, in this order."""
    takes = []
    for number, index in enumerate(indices):
        old = _made_choice(history.record, index, "remade")
        take = TakeRecord(id=history.next_take + number, seed=old.seed, changes=old.changes)
        takes.append(PlannedTake(shot=index, take=take))
    _refuse_full(history, 0, len(takes))
    return Planned(takes=tuple(takes))


def choose(record: FilmRecord, index: int, take: TakeRecord) -> Chosen:
    """A made take of shot ``index`` into the film."""
    _refuse_locked(record, index, "changed")
    if not take.made:
        raise InputError(f"take {take.id} of shot {index} is not made yet; wait for it first")
    return Chosen(shot=index, take=take.id)


def remove(record: FilmRecord, id: int) -> Removed:
    """A planned take out of the queue."""
    index, take = record.find(id)
    if take.made:
        raise InputError(f"take {id} of shot {index} is {take.state}; only a planned take can be removed")
    return Removed(take=id)


def lock(record: FilmRecord, index: int, locked: bool) -> Locked:
    """A made shot, nothing of which is planned, stays as it is; or need not any more."""
    shot = record.shot(index)
    if locked:
        _choice(record, index)
        if shot.planned:
            raise InputError(f"shot {index} has a take that is still to be made; wait for it or remove it first")
    return Locked(shot=index, locked=locked)


def branch(history: History, name: str, after: int) -> Branched:
    """A branch of its own that has the shots up to and with shot ``after`` (-1: none)."""
    record = history.record
    if after != -1:
        record.shot(after)
    if len(record.branches) >= MAX_BRANCHES:
        raise InputError(f"a film has at most {MAX_BRANCHES} branches; drop one first")
    name = " ".join(name.split())
    if not name or len(name) > 80 or not name.isprintable():
        raise InputError("a branch needs a name of 1 to 80 characters")
    if any(branch.name == name for branch in record.branches):
        raise InputError(f"there is a branch {name!r} already; give another name")
    return Branched(id=history.next_branch, name=name, shots=after + 1)


def switch(record: FilmRecord, name: str) -> Switched:
    """The film goes on along branch ``name``."""
    found = _branch(record, name)
    if found.id == record.branch:
        raise InputError(f"the film is on branch {name!r} already")
    return Switched(branch=found.id)


def drop(record: FilmRecord, name: str) -> Dropped:
    """Branch ``name`` goes."""
    found = _branch(record, name)
    if found.id == record.branch:
        raise InputError(f"the film is on branch {name!r}; switch to another one first")
    return Dropped(branch=found.id)


def _branch(record: FilmRecord, name: str) -> BranchRecord:
    found = next((branch for branch in record.branches if branch.name == name), None)
    if found is None:
        known = ", ".join(repr(branch.name) for branch in record.branches)
        raise InputError(f"there is no branch {name!r}; there are {known}")
    return found


def _seed(record: FilmRecord, shot: int, given: int | None, base: int, number: int) -> int:
    """The seed of the ``number``-th take of a shot: as given, else named after its place, and like no other here."""
    if given is not None:
        return given
    taken = {take.seed for take in record.takes()}
    while (named := derive(base, "shot", shot, "take", number)) in taken:
        number += 1
    return named


def _choice(record: FilmRecord, index: int) -> TakeRecord:
    choice = record.shot(index).choice
    if choice is None:
        raise InputError(f"shot {index} is not made yet; wait for its take first")
    return choice


def _made_choice(record: FilmRecord, index: int, what: str) -> TakeRecord:
    """The chosen take of a shot, if it may be ``what``."""
    choice = _choice(record, index)
    _refuse_locked(record, index, what)
    return choice


def _refuse_locked(record: FilmRecord, index: int, what: str) -> None:
    if record.shot(index).locked:
        raise InputError(f"shot {index} is locked and cannot be {what}; unlock it first")


def _refuse_full(history: History, shots: int, takes: int = 1) -> None:
    """Refuse what a film file could not hold."""
    record = history.record
    if len(record.shots) + shots > MAX_SHOTS or len(record.all_takes()) + takes > MAX_TAKES:
        raise InputError(f"a film has at most {MAX_SHOTS} shots and {MAX_TAKES} takes; begin another one")
