"""The timeline of a film: its chosen takes as exports take them, from what is stored, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.story import MAX_SECONDS, MIN_SECONDS, Shot, Story
from shotstream.film.record import FilmRecord, ShotRecord, TakeRecord
from shotstream.film.store import TakeStore
from shotstream.media.exports.timeline import Prompt, Timeline, TimelineShot
from shotstream.media.h264 import Picture
from shotstream.media.provenance import FilmTags


def timeline_of(record: FilmRecord, store: TakeStore, title: str) -> Timeline:
    """The chosen takes of the made shots. Raises :class:`InputError` if there are none."""
    made = [(index, shot, shot.choice) for index, shot in enumerate(record.shots)]
    chosen = [(index, shot, take) for index, shot, take in made if take is not None]
    if not chosen:
        raise InputError("the film has no made shot yet; wait for a take first")
    starts = np.cumsum([0, *(take.frames for _, _, take in chosen)]).tolist()
    shots = tuple(
        TimelineShot(
            index=index,
            start=start,
            frames=take.frames,
            prompts=_prompts(shot, take),
            seed=take.seed,
            read=partial(_read, store, take),
        )
        for (index, shot, take), start in zip(chosen, starts, strict=False)
    )
    takes = [take for _, _, take in chosen]
    tags = FilmTags(
        title=title,
        story=_story(record, [(shot, take) for _, shot, take in chosen]),
        seed=record.seed,
        model=_each_once(take.model for take in takes),
        model_version=_each_once(take.model_version for take in takes),
    )
    return Timeline(tags=tags, picture=Picture(width=record.width, height=record.height, fps=record.fps), shots=shots)


def _read(store: TakeStore, take: TakeRecord, frames: Sequence[int] | None) -> np.ndarray:
    return store.frames(take, frames)


def _prompts(shot: ShotRecord, take: TakeRecord) -> tuple[Prompt, ...]:
    """What ``take`` was made under, and from which of its frames on."""
    changes = [change for change in take.changes if change.block < len(take.block_frames)]
    blocks = [0, *(change.block for change in changes if change.block)]
    return tuple(Prompt(frame=sum(take.block_frames[:block]), caption=shot.caption_at(take, block)) for block in blocks)


def _story(record: FilmRecord, chosen: Sequence[tuple[ShotRecord, TakeRecord]]) -> Story:
    """The script of these takes. A story has no shots longer than the longest, and none that change in the middle."""
    shots = tuple(
        Shot(caption=shot.caption, seconds=min(max(take.frames / record.fps, MIN_SECONDS), MAX_SECONDS), seed=take.seed)
        for shot, take in chosen
    )
    return Story(global_caption=record.global_caption, seed=record.seed, shots=shots)


def _each_once(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
