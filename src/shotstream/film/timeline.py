"""The timeline of a stored film: its chosen takes in order, for exports. Needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.story import Story
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import FilmRecord, Marker, ShotRecord, TakeRecord
from shotstream.film.record.script import shot_of
from shotstream.media.exports.timeline import Note, Prompt, Timeline, TimelineShot
from shotstream.media.h264 import VideoFormat
from shotstream.media.provenance import FilmTags


def timeline_of(record: FilmRecord, store: TakeStore, title: str) -> Timeline:
    """The chosen takes of the made shots. Raises :class:`InputError` if there are none."""
    made = [(index, shot, shot.choice) for index, shot in enumerate(record.shots)]
    chosen = [(index, shot, take) for index, shot, take in made if take is not None]
    if not chosen:
        raise InputError("the film has no made shot yet; wait for a take first")
    starts = np.cumsum([0, *(len(take.shown) for _, _, take in chosen)]).tolist()
    shots = tuple(
        TimelineShot(
            index=index,
            start=start,
            frames=len(take.shown),
            prompts=_prompts(shot, take),
            notes=tuple(Note(frame=one.frame - take.shown.start, text=one.text) for one in _shown_markers(take)),
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
    return Timeline(tags=tags, video=VideoFormat(width=record.width, height=record.height, fps=record.fps), shots=shots)


def _read(store: TakeStore, take: TakeRecord, frames: Sequence[int] | None) -> np.ndarray:
    shown = take.shown
    return store.frames(take, shown if frames is None else [shown[frame] for frame in frames])


def _shown_markers(take: TakeRecord) -> list[Marker]:
    return [marker for marker in take.markers if marker.frame in take.shown]


def _prompts(shot: ShotRecord, take: TakeRecord) -> tuple[Prompt, ...]:
    """What the shown frames of ``take`` were made under, and from which of them on."""
    blocks = {0, *(change.block for change in take.changes if change.block < len(take.block_frames))}
    begins = {block: sum(take.block_frames[:block]) - take.shown.start for block in sorted(blocks)}
    first = max(block for block, frame in begins.items() if frame <= 0)
    return tuple(
        Prompt(frame=max(0, frame), caption=shot.caption_at(take, block))
        for block, frame in begins.items()
        if block >= first and frame < len(take.shown)
    )


def _story(record: FilmRecord, chosen: Sequence[tuple[ShotRecord, TakeRecord]]) -> Story:
    """The script of these takes."""
    shots = tuple(shot_of(shot, take, record.fps) for shot, take in chosen)
    return Story(
        global_caption=record.global_caption, seed=record.seed, context_policy=record.context_policy, shots=shots
    )


def _each_once(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, names)))  # of a person's own footage there is none
