"""A film as files a person opens: MP4 with a chapter per shot, and a storyboard picture. From what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.film.record import ShotRecord, TakeRecord
from shotstream.media.mp4 import Picture, write_film
from shotstream.media.provenance import FilmTags
from shotstream.media.storyboard import FRAMES_PER_SHOT, Panel, spread, write_storyboard

if TYPE_CHECKING:
    from shotstream.film.film import Film


def export_film(film: Film, path: Path, storyboard: Path | None) -> None:
    """Write the chosen takes of ``film`` to ``path``, and a storyboard if asked for; each whole or not at all.

    Raises :class:`InputError` if the film has no made shot, :class:`StorageError` when the disk refuses.
    """
    chosen = _chosen(film)
    with write_film(path, picture(film.geometry), _tags(film, path.stem)) as writer:
        for shot, take in chosen:
            writer.add_shot(shot.caption, film.store.frames(take))
    if storyboard is not None:
        write_board(film, storyboard)


def write_board(film: Film, path: Path) -> None:
    """Write a PNG with frames of every made shot of ``film``. Raises as :func:`export_film` does."""
    panels, start, fps = [], 0, film.geometry.fps
    for shot, take in _chosen(film):
        pictures = film.store.frames(take, spread(np.arange(take.frames), FRAMES_PER_SHOT).tolist())
        panels.append(Panel(caption=shot.caption, frames=pictures, start=start / fps, seconds=take.frames / fps))
        start += take.frames
    tags = _tags(film, path.stem)
    write_storyboard(path, film.global_caption, panels, f"{tags.model} {tags.model_version}, seed {tags.seed}")


def picture(geometry: Geometry) -> Picture:
    """What the film writer needs to know of ``geometry``."""
    return Picture(width=geometry.width, height=geometry.height, fps=geometry.fps)


def _tags(film: Film, title: str) -> FilmTags:
    takes = [take for _, take in _chosen(film)]
    return FilmTags(
        title=title,
        story=film.story(),
        seed=film.seed,
        model=_each_once(take.model for take in takes),
        model_version=_each_once(take.model_version for take in takes),
    )


def _chosen(film: Film) -> list[tuple[ShotRecord, TakeRecord]]:
    """The shots that are made, with their chosen takes."""
    made = [(shot, shot.choice) for shot in film.record.shots]
    chosen = [(shot, take) for shot, take in made if take is not None]
    if not chosen:
        raise InputError("the film has no made shot yet; wait for a take first")
    return chosen


def _each_once(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
