"""A film's history: its events, and the film they amount to. Undo takes an event out, redo puts it back.

The film is a pure fold: its founding record and every event that is in effect, in order. Facts are always in effect:
undo leaves finished takes finished.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import get_args

from shotstream.core.errors import InputError
from shotstream.film.record.events import (
    Branched,
    Direction,
    Edit,
    Ended,
    Event,
    Fact,
    Founded,
    Inserted,
    Lost,
    Paused,
    Pinned,
    Placed,
    Queued,
    Redone,
    Undone,
)
from shotstream.film.record.film_record import FilmRecord, ShotRecord, TakeRecord
from shotstream.film.record.fold import apply

SNAPSHOT_EVERY = 64  # changes between two snapshots of the film: undo replays at most so many, and what came after
_UNDOABLE = (*get_args(Edit), *get_args(Direction))


class History:
    """Made from a journal's events; grows by :meth:`add`.

    ``record``: the film as it stands. ``footage``: the checksum of every footage there ever was and that is not lost;
    undo and redo may need it.
    """

    def __init__(self, founded: Founded, events: Iterable[Event] = ()) -> None:
        self.founded = founded
        self.record: FilmRecord = founded.record
        self.paused = founded.paused
        taken = [take.id for take in founded.record.all_takes()]
        self.next_take = max([founded.next_take, *(id + 1 for id in taken)])
        self.next_branch = max(founded.next_branch, *(branch.id + 1 for branch in founded.record.branches))
        self.footage = {take.footage: take.crc32 for take in founded.record.all_takes() if take.made}
        self._changes: list[Edit | Direction | Fact] = []
        self._snapshots: list[tuple[int, FilmRecord]] = []  # the film before the change at this place, every so often
        self._out: set[int] = set()  # places in _changes that are not in effect
        self._done: list[int] = []  # places that can be undone, the latest last
        self._undone: list[int] = []  # places that can be redone, the next one last
        for event in events:
            self.add(event)

    @classmethod
    def of(cls, record: FilmRecord) -> History:
        """A history that begins now."""
        return cls(Founded(record=record))

    @property
    def undoable(self) -> Edit | Direction | None:
        """What undo would take back."""
        return self._at(self._done)

    @property
    def redoable(self) -> Edit | Direction | None:
        """What redo would do again."""
        return self._at(self._undone)

    def check(self, event: Event) -> None:
        """Raise :class:`InputError` if ``event`` could not happen now."""
        match event:
            case Paused():
                return
            case Undone() | Redone():
                if not (self._done if isinstance(event, Undone) else self._undone):
                    raise InputError(f"there is nothing to {event.type}")
            case Founded():
                raise InputError("a film can only begin once")
            case _:
                apply(self.record, event)

    def add(self, event: Event) -> None:
        """Let ``event`` happen. Raises :class:`InputError`, and nothing has changed, if it does not fit."""
        match event:
            case Paused():
                self.paused = event.paused
            case Undone() | Redone():
                self.check(event)
                ways = (self._done, self._undone)
                self._move(*(ways if isinstance(event, Undone) else reversed(ways)))
            case Founded():
                self.check(event)
            case _:
                self._change(event)

    def _change(self, event: Edit | Direction | Fact) -> None:
        after = apply(self.record, event)
        if not self._snapshots or len(self._changes) - self._snapshots[-1][0] >= SNAPSHOT_EVERY:
            self._snapshots.append((len(self._changes), self.record))
        self.record = after
        self._changes.append(event)
        if isinstance(event, _UNDOABLE):
            self._done.append(len(self._changes) - 1)
            self._undone.clear()
        if isinstance(event, Ended):  # what was asked of it while it ran is part of it now
            self._done = [place for place in self._done if not self._directs(place, event.take)]
        self._note(event)

    def _directs(self, place: int, take: int) -> bool:
        event = self._changes[place]
        return isinstance(event, get_args(Direction)) and event.take == take

    def _note(self, event: Edit | Direction | Fact) -> None:
        """What holds whatever is undone. Ids are never used again: an old handle must never come to mean another."""
        match event:
            case Inserted():
                self.next_take = max([self.next_take, *(take.id + 1 for take in event.shot.takes)])
            case Placed():
                for take in (take for shot in event.shots for take in shot.takes):
                    self._hold(take)
            case Pinned():
                self._hold(event.reference.picture)
            case Queued():
                self.next_take = max([self.next_take, *(queued.take.id + 1 for queued in event.takes)])
            case Branched():
                self.next_branch = max(self.next_branch, event.id + 1)
            case Ended():
                self.footage[event.take] = event.crc32
            case Lost():
                self.footage = {one: sum for one, sum in self.footage.items() if one not in event.footage}

    def _hold(self, take: TakeRecord) -> None:
        """Footage came with ``take``."""
        self.next_take = max(self.next_take, take.id + 1)
        self.footage[take.id] = take.crc32

    def _move(self, source: list[int], target: list[int]) -> None:
        """Switch the latest of ``source`` on or off, and replay what came after it."""
        changed = source[-1]
        out = self._out ^ {changed}
        known = bisect_right(self._snapshots, changed, key=lambda one: one[0])
        begin, record = self._snapshots[known - 1]
        snapshots = self._snapshots[:known]
        for place in range(begin, len(self._changes)):
            if place - snapshots[-1][0] >= SNAPSHOT_EVERY:
                snapshots.append((place, record))
            if place not in out:
                record = apply(record, self._changes[place])
        self.record, self._out, self._snapshots = record, out, snapshots
        target.append(source.pop())

    def _at(self, places: list[int]) -> Edit | Direction | None:
        if not places:
            return None
        event = self._changes[places[-1]]
        assert isinstance(event, _UNDOABLE)
        return event


def fresh_start(history: History, *, unchosen: bool) -> Founded:
    """The film of ``history`` as if it began now; with ``unchosen``, without made takes that no branch has chosen."""
    return Founded(
        record=without_unchosen(history.record) if unchosen else history.record,
        next_take=history.next_take,
        next_branch=history.next_branch,
        paused=history.paused,
    )


def without_unchosen(record: FilmRecord) -> FilmRecord:
    """The film without made takes that are not chosen in any branch."""
    chosen = {shot.chosen for branch in record.branches for shot in branch.shots}

    def kept(shot: ShotRecord) -> ShotRecord:
        takes = tuple(take for take in shot.takes if not take.made or take.id in chosen)
        return shot.model_copy(update={"takes": takes}) if takes else shot

    return record.everywhere(lambda shots: tuple(kept(shot) for shot in shots))
