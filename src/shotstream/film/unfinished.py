"""Renders that were interrupted: their films wait in a cache folder until the same story is rendered again.

The same means: the same script, seed, model, device and number format. What is made then is what would have been made.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.folder import OpenElsewhereError, holds_film, last_change, open_here

log = logging.getLogger(__name__)

KEPT = 14 * 24 * 3600  # seconds an interrupted render waits


def renders_folder() -> Path:
    """Where interrupted renders wait: in the folder ``SHOTSTREAM_CACHE`` names, else where this system keeps caches."""
    named = os.environ.get("SHOTSTREAM_CACHE")
    return (Path(named) if named else user_cache_path("shotstream", appauthor=False)) / "renders"


@contextmanager
def film_of(director: Director, story: Story) -> Iterator[Film]:
    """The film of ``story``: the one that was interrupted, or a new one without shots.

    It is gone when the block is left; left by an error or Ctrl-C, it waits. Where it cannot be kept (another program
    renders the same, or there is no room for caches), it lives as long as the block.
    """
    forget_old(renders_folder())
    folder = renders_folder() / _key(director, story)
    film, kept = _opened(director, story, folder)
    try:
        yield film
    except BaseException:
        worth = kept and any(take.made for take in film.record.takes())
        film.close()
        if kept and not worth:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    film.close()
    if kept:
        shutil.rmtree(folder, ignore_errors=True)


def forget_old(renders: Path) -> None:
    """Remove renders in ``renders`` that have waited too long, and what is left of others."""
    for folder in renders.iterdir() if renders.is_dir() else ():
        try:
            if time.time() - (last_change(folder) if holds_film(folder) else folder.stat().st_mtime) > KEPT:
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, StorageError):
            continue  # another program was quicker


def _opened(director: Director, story: Story, folder: Path) -> tuple[Film, bool]:
    """The film in ``folder`` if it is the beginning of ``story``, else a new one; and whether it is kept there."""
    if open_here(folder):
        return _unkept(director, story), False
    try:
        if holds_film(folder):
            film = director.reopen(folder)
            if _begins(film, story):
                return film, True
            film.close()
    except OpenElsewhereError:
        return _unkept(director, story), False
    except InputError as fault:
        log.warning("%s; the film is made anew", fault)  # damaged beyond mending
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return director.open(global_caption=story.global_caption, seed=story.seed, folder=folder), True
    except (InputError, StorageError):
        return _unkept(director, story), False


def _unkept(director: Director, story: Story) -> Film:
    return director.open(global_caption=story.global_caption, seed=story.seed)


def _begins(film: Film, story: Story) -> bool:
    """Is ``film`` what comes of the first shots of ``story``, made one after the other?"""
    record, geometry = film.record, film.geometry
    if (record.global_caption, record.seed, record.others) != (story.global_caption, story.seed, ()):
        return False
    asked = [(shot.caption, shot.blocks(geometry), shot.seed) for shot in story.shots[: len(record.shots)]]
    return [(shot.caption, shot.blocks, shot.seed) for shot in record.shots] == asked


def _key(director: Director, story: Story) -> str:
    """A name for all that a film of ``story`` depends on."""
    model = [director.model_name, director.model_version, str(director.device.type), str(director.dtype)]
    return hashlib.sha256(json.dumps([model, story.model_dump(mode="json")]).encode()).hexdigest()[:16]
