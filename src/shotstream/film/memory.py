"""What a shot of a film remembers, and which shots remember what is no longer there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from shotstream.core.context_budget import ContextFrame
from shotstream.core.errors import InputError
from shotstream.core.story import full_prompt
from shotstream.film.engine import Engine
from shotstream.film.record import FilmRecord, SeenFrame, ShotRecord, TakeRecord
from shotstream.film.store import TakeStore


@dataclass(frozen=True, slots=True)
class PastTake:
    """A chosen take as the model remembers it: a :class:`shotstream.sampling.context.FinishedShot` kept on disk."""

    index: int
    prompt: str
    take: TakeRecord
    store: TakeStore

    @property
    def frame_count(self) -> int:
        return self.take.frames

    @property
    def key(self) -> Hashable:
        return (self.store.token, self.take.id)

    def pictures(self, frames: Sequence[int]) -> np.ndarray:
        """uint8 [len(frames), height, width, 3], as shown."""
        return self.store.frames(self.take, frames)


def past_of(record: FilmRecord, store: TakeStore, index: int, first: int = 0) -> list[PastTake]:
    """The chosen takes of shots ``first`` to ``index``, without the last; shots that have none are not there yet."""
    return [
        PastTake(before, _ended_under(record, shot, shot.choice), shot.choice, store)
        for before, shot in enumerate(record.shots[first:index], first)
        if shot.choice is not None
    ]


def prompt_of(record: FilmRecord, index: int) -> str:
    """The whole text shot ``index`` is made from."""
    return full_prompt(record.global_caption, record.shots[index].caption)


def _ended_under(record: FilmRecord, shot: ShotRecord, take: TakeRecord) -> str:
    """The whole text the last block of a made ``take`` was made from: what its frames are remembered by."""
    return full_prompt(record.global_caption, shot.caption_at(take, len(take.block_frames) - 1))


class Staleness:
    """Which shots are stale. Remembers what each would see, so that only shots behind a change are looked at again."""

    def __init__(self, store: TakeStore, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self._record: FilmRecord | None = None
        self._seen: list[tuple[SeenFrame, ...]] = []
        self._stale: tuple[int, ...] = ()

    def of(self, record: FilmRecord) -> tuple[int, ...]:
        """Shots whose chosen take saw other frames than it would see now, or frames of a stale shot; in film order.

        A locked shot may be stale itself, but its frames are there to stay: those that saw them need not be remade.
        """
        if record is not self._record:
            self._look(record)
            self._stale = self._judge(record)
            self._record = record
        return self._stale

    def _look(self, record: FilmRecord) -> None:
        """Bring what each shot would see up to date."""
        before = () if self._record is None else self._record.shots
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(record.shots, before, strict=False)))
        self._seen = self._seen[:same]
        past = past_of(record, self._store, same)
        for index in range(same, len(record.shots)):
            self._seen.append(seen(past, self._engine.remembers(past, prompt_of(record, index))))
            past += past_of(record, self._store, index + 1, first=index)

    def _judge(self, record: FilmRecord) -> tuple[int, ...]:
        stale: list[int] = []
        passing: set[int] = set()  # takes of stale shots, which will be others once these are remade
        for index, (shot, sees) in enumerate(zip(record.shots, self._seen, strict=True)):
            if shot.choice is None:
                continue
            if shot.choice.saw != sees or any(frame.take in passing for frame in sees):
                stale.append(index)
                if not shot.locked:
                    passing.add(shot.choice.id)
        return tuple(stale)


def seen(past: Sequence[PastTake], chosen: Sequence[ContextFrame]) -> tuple[SeenFrame, ...]:
    """The frames ``chosen`` of ``past``, by their takes."""
    return tuple(SeenFrame(take=past[frame.shot].take.id, frame=frame.frame) for frame in chosen)


def refuse_gap(record: FilmRecord, index: int) -> None:
    """Raise :class:`InputError` while a shot before shot ``index`` has no made take."""
    for before, shot in enumerate(record.shots[:index]):
        if shot.choice is None:
            raise InputError(f"shot {index} comes after shot {before}, which is not made yet; wait for that one first")
