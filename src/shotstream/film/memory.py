"""What a shot of a film remembers, and which shots remember what is no longer there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from shotstream.core.errors import InputError
from shotstream.film.engine import Engine
from shotstream.film.record import FilmRecord, SeenFrame, ShotRecord, TakeRecord
from shotstream.film.store import TakeStore
from shotstream.sampling.director import full_prompt


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


def past_of(record: FilmRecord, store: TakeStore, index: int) -> list[PastTake]:
    """The chosen takes of the shots before shot ``index``; shots that have none are not there yet."""
    return [
        PastTake(before, _ended_under(record, shot, shot.choice), shot.choice, store)
        for before, shot in enumerate(record.shots[:index])
        if shot.choice is not None
    ]


def prompt_of(record: FilmRecord, index: int) -> str:
    """The whole text shot ``index`` is made from."""
    return full_prompt(record.global_caption, record.shots[index].caption)


def _ended_under(record: FilmRecord, shot: ShotRecord, take: TakeRecord) -> str:
    """The whole text the last block of a made ``take`` was made from: what its frames are remembered by."""
    return full_prompt(record.global_caption, shot.caption_at(take, len(take.block_frames) - 1))


def would_see(record: FilmRecord, store: TakeStore, engine: Engine, index: int) -> tuple[SeenFrame, ...]:
    """The condition frames of shot ``index``, were it made now."""
    past = past_of(record, store, index)
    chosen = engine.remembers(past, prompt_of(record, index))
    return tuple(SeenFrame(take=past[frame.shot].take.id, frame=frame.frame) for frame in chosen)


def stale_shots(record: FilmRecord, store: TakeStore, engine: Engine) -> tuple[int, ...]:
    """Shots whose chosen take saw other frames than it would see now, or frames of a stale shot; in film order."""
    stale: list[int] = []
    for index, shot in enumerate(record.shots):
        if shot.choice is None:
            continue
        seen = would_see(record, store, engine, index)
        if shot.choice.saw != seen or any(record.find(frame.take)[0] in stale for frame in seen):
            stale.append(index)
    return tuple(stale)


def refuse_gap(record: FilmRecord, index: int) -> None:
    """Raise :class:`InputError` while a shot before shot ``index`` has no made take."""
    for before, shot in enumerate(record.shots[:index]):
        if shot.choice is None:
            raise InputError(f"shot {index} comes after shot {before}, which is not made yet; wait for that one first")
