"""The context of a shot in a film, and which shots are stale: conditioned on frames no longer there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import cast

import numpy as np

from shotstream.core.context_budget import PINNED_SHOT
from shotstream.core.errors import InputError
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import FilmRecord, LoraUse, SeenFrame, TakeRecord
from shotstream.film.takes.engine import Engine
from shotstream.sampling.context import ChosenContext


@dataclass(frozen=True, slots=True)
class PastTake:
    """A chosen take, for shots that are conditioned on it: a :class:`shotstream.sampling.context.FinishedShot`."""

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

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        """uint8 [len(frames), height, width, 3], as shown."""
        return self.store.frames(self.take, frames)


def past_of(engine: Engine, record: FilmRecord, store: TakeStore, index: int, first: int = 0) -> list[PastTake]:
    """The chosen takes of shots ``first`` to ``index``, without the last; shots that have none are not there yet."""
    return [
        PastTake(before, _last_prompt(engine, record, before, shot.choice), shot.choice, store)
        for before, shot in enumerate(record.shots[first:index], first)
        if shot.choice is not None
    ]


def pinned_of(record: FilmRecord, store: TakeStore) -> list[PastTake]:
    """The reference images, which come before all shots."""
    return [PastTake(PINNED_SHOT, one.caption, one.picture, store) for one in record.references]


def prompt_of(engine: Engine, record: FilmRecord, index: int, take: TakeRecord) -> str:
    """The prompt of the first block of ``take``, a take of shot ``index``."""
    return engine.prompt(record.global_caption, record.shots[index].caption_at(take, 0), index)


def _last_prompt(engine: Engine, record: FilmRecord, index: int, take: TakeRecord) -> str:
    """The prompt of the last block of a finished ``take``: its condition frames read that one."""
    caption = record.shots[index].caption_at(take, len(take.block_frames) - 1)
    return engine.prompt(take.story or record.global_caption, caption, index)


def lora_of(engine: Engine, record: FilmRecord, index: int, take: TakeRecord | None) -> tuple[LoraUse, ...]:
    """The adapters that ``take`` of shot ``index`` is to be made with; None: a new shot that says none.

    Raises :class:`InputError` if one is not loaded.
    """
    loaded = engine.loras()
    said = (record.lora,) if take is None else (take.lora, record.shots[index].lora, record.lora)
    asked = next((one for one in said if one is not None), None)
    if asked is None:
        return tuple(loaded.values())
    for one in asked:
        if one.name not in loaded:
            known = ", ".join(map(repr, loaded)) or "none"
            raise InputError(
                f"shot {index} is made with LoRA {one.name!r}, which is not loaded (loaded: {known}); load it"
            )
    return tuple(LoraUse(name=one.name, weight=one.weight, fingerprint=loaded[one.name].fingerprint) for one in asked)


def weights_of(lora: Sequence[LoraUse]) -> tuple[tuple[str, float], ...]:
    """Adapters as a context knows them."""
    return tuple(sorted((one.name, one.weight) for one in lora if one.weight))


class Staleness:
    """Which shots are stale. Keeps what each would be conditioned on, so that only shots behind a change are looked at
    again."""

    def __init__(self, store: TakeStore, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self._record: FilmRecord | None = None
        self._needed: list[tuple[SeenFrame, ...]] = []
        self._stale: tuple[int, ...] = ()

    def of(self, record: FilmRecord) -> tuple[int, ...]:
        """Shots whose chosen take was conditioned on other frames than it would be now, or on frames of a stale shot,
        or was made under another global caption; in film order.

        A locked shot may be stale itself, but its frames stay: shots that were conditioned on them need no remake.
        """
        if record is not self._record:
            self._update(record)
            self._stale = self._find(record)
            self._record = record
        return self._stale

    def _update(self, record: FilmRecord) -> None:
        """Choose the condition frames of every shot behind the first change."""
        was = self._record
        alike = was is not None and (was.context_policy, was.references) == (record.context_policy, record.references)
        before = was.shots if was is not None and alike else ()
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(record.shots, before, strict=False)))
        self._needed = self._needed[:same]
        past = [*pinned_of(record, self._store), *past_of(self._engine, record, self._store, same)]
        for index in range(same, len(record.shots)):
            shot = record.shots[index]
            prompt = prompt_of(self._engine, record, index, shot.choice or shot.takes[-1])
            self._needed.append(seen_frames(self._engine.choose_context(past, prompt, record.context_policy)))
            past += past_of(self._engine, record, self._store, index + 1, first=index)

    def _find(self, record: FilmRecord) -> tuple[int, ...]:
        stale: list[int] = []
        passing: set[int] = set()  # takes of stale shots, which will be others once these are remade
        for index, (shot, needed) in enumerate(zip(record.shots, self._needed, strict=True)):
            if shot.choice is None or shot.choice.source:  # the model makes nothing of a person's own footage
                continue
            changed = shot.choice.story is not None or shot.choice.saw != needed
            if changed or any(frame.take in passing for frame in needed):
                stale.append(index)
                if not shot.locked:
                    passing.add(shot.choice.id)
        return tuple(stale)


def seen_frames(context: ChosenContext) -> tuple[SeenFrame, ...]:
    """The condition frames of a context of :class:`PastTake`, by the ids of their takes."""
    past = cast(Sequence[PastTake], context.past)
    return tuple(SeenFrame(take=past[one.shot].take.id, frame=one.frame) for one in context.frames)


def refuse_gap(record: FilmRecord, index: int) -> None:
    """Raise :class:`InputError` while a shot before shot ``index`` has no made take."""
    for before, shot in enumerate(record.shots[:index]):
        if shot.choice is None:
            raise InputError(f"shot {index} comes after shot {before}, which is not made yet; wait for that one first")
