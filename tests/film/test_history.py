"""Undo and redo cost what lies between them and the end, not the whole history; what comes out is a plain fold."""

from __future__ import annotations

import random
from functools import reduce

import pytest

from shotstream.core.errors import InputError
from shotstream.film.record import history
from shotstream.film.record.events import Begun, Deleted, Ended, Inserted, Locked, Moved, Redone, Undone
from shotstream.film.record.film_record import FilmRecord, ShotRecord, TakeRecord
from shotstream.film.record.fold import apply
from shotstream.film.record.history import SNAPSHOT_EVERY, History

RECORD = FilmRecord(width=64, height=32, fps=16, global_caption="a fox", seed=7)


def shot(id: int) -> ShotRecord:
    return ShotRecord(caption="it walks", blocks=1, takes=(TakeRecord(id=id, seed=id),))


def made(past: History, id: int) -> None:
    past.add(Begun(take=id, saw=(), model="paint", model_version="1"))
    past.add(Ended(take=id, state="finished", block_frames=(9,), crc32="00000000"))


def test_an_undo_thinks_through_no_more_than_what_came_after(monkeypatch) -> None:
    past = History.of(RECORD)
    for number in range(300):
        past.add(Inserted(at=number, shot=shot(number)))
        made(past, number)
    counted = [0]

    def counting(record: FilmRecord, event: object) -> FilmRecord:
        counted[0] += 1
        return apply(record, event)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "apply", counting)
    for number in range(100):
        past.add(Undone())
        assert len(past.record.shots) == 299 - number
        past.check(Redone())
    assert counted[0] < 100 * (
        SNAPSHOT_EVERY + 3 * 100
    )  # each: what lies behind a snapshot, and the facts of what was undone


def test_any_undo_and_redo_is_the_fold_of_what_is_in_effect() -> None:
    dice, past, next_id = random.Random(3), History.of(RECORD), 0
    for _ in range(250):
        shots = past.record.shots
        choice = dice.random()
        if choice < 0.35 or not shots:
            past.add(Inserted(at=dice.randint(0, len(shots)), shot=shot(next_id)))
            next_id += 1
        elif choice < 0.45:
            past.add(Moved(shot=dice.randrange(len(shots)), to=dice.randrange(len(shots))))
        elif choice < 0.5:
            past.add(Deleted(shot=dice.randrange(len(shots))))
        elif choice < 0.6 and (planned := [take.id for one in shots for take in one.queued]):
            made(past, dice.choice(planned))
        elif choice < 0.65:
            past.add(Locked(shot=dice.randrange(len(shots)), locked=dice.random() < 0.5))
        else:
            try:
                past.add(Undone() if dice.random() < 0.6 else Redone())
            except InputError:
                continue
        effective = [one for place, one in enumerate(past._changes) if place not in past._out]
        assert past.record == reduce(apply, effective, RECORD)


def test_nothing_is_undone_before_the_beginning() -> None:
    with pytest.raises(InputError, match="nothing to undo"):
        History.of(RECORD).add(Undone())
