"""Takes of a shot side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shotstream.core.errors import InputError
from shotstream.film.export import picture
from shotstream.film.record import ShotRecord, TakeRecord
from shotstream.film.store import TakeStore
from shotstream.film.timeline import timeline_of
from shotstream.media.mp4 import write_film

if TYPE_CHECKING:
    from shotstream.film.film import Film

MOST_COMPARED = 4  # takes in one exported picture
_AT_ONCE = 32  # frames


def side_by_side(shot: ShotRecord, store: TakeStore, takes: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """Frames of made takes of ``shot`` next to each other, left to right: uint8 [height, takes x width, 3].

    takes: their places among the shot's takes, from 0; None is all that are made. A shorter one stays on its last
    frame. Raises :class:`InputError` if there is nothing to compare.
    """
    chosen = [take for take in shot.takes if take.made] if takes is None else [_made(shot, place) for place in takes]
    if not chosen:
        raise InputError("no take of this shot is made yet; wait for one first")
    return _frames(chosen, store)


def export_comparison(film: Film, shot: int, path: Path) -> None:
    """Write the made takes of ``shot`` side by side as MP4, at most :data:`MOST_COMPARED`, the latest.

    Raises as :func:`side_by_side` and :func:`shotstream.media.mp4.write_film` do.
    """
    made = [place for place, take in enumerate(film.record.shot(shot).takes) if take.made][-MOST_COMPARED:]
    frames = np.stack(list(film.compare(shot, made or None)))
    wide = picture(film.geometry).model_copy(update={"width": frames.shape[2]})
    with write_film(path, wide, timeline_of(film.record, film.store, path.stem).tags) as writer:
        writer.add_shot(film.record.shots[shot].caption, frames)


def _made(shot: ShotRecord, place: int) -> TakeRecord:
    if not 0 <= place < len(shot.takes):
        raise InputError(f"the shot has {len(shot.takes)} takes, counted from 0; {place} is none of them")
    if not shot.takes[place].made:
        raise InputError(f"take {shot.takes[place].id} is not made yet; wait for it first")
    return shot.takes[place]


def _frames(takes: Sequence[TakeRecord], store: TakeStore) -> Iterator[np.ndarray]:
    longest = max(take.frames for take in takes)
    for start in range(0, longest, _AT_ONCE):
        window = range(start, min(start + _AT_ONCE, longest))
        yield from np.concatenate([_window(take, store, window) for take in takes], axis=2)


def _window(take: TakeRecord, store: TakeStore, window: range) -> np.ndarray:
    """Frames ``window`` of ``take``, the last one again where it has none."""
    wanted = [min(index, take.frames - 1) for index in window]
    return store.frames(take, wanted)
