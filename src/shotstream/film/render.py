"""Renders a story to an MP4, shot after shot, and measures speed on the way; goes on with interrupted renders.

Their films wait in a cache folder until the same story is rendered again. The same means: the same script, seed, model,
device and number format. What is made then is what would have been made.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import fingerprint, renders_folder
from shotstream.core.process import peak_memory_bytes
from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.disk.folder import OpenElsewhereError, holds_film, last_change, open_here
from shotstream.film.export import video_format, write_board
from shotstream.film.film import Film
from shotstream.film.report import Progress, RenderReport, ShotReport
from shotstream.media.mp4 import FilmWriter, write_film
from shotstream.media.provenance import FilmTags
from shotstream.media.sound import Sound
from shotstream.media.story_check import unknown_words
from shotstream.sampling.overlap import one_behind

OnProgress = Callable[[Progress], None]
Tell = Callable[[int, int], None]  # shot, blocks done


class Spent(NamedTuple):
    """Seconds: in all, and of these in denoising."""

    seconds: float
    denoising: float


def ignore(progress: Progress) -> None:
    """Show nothing."""


def render(
    director: Director,
    story: Story,
    output: Path,
    *,
    seed: int | None = None,
    keep_shots: bool = False,
    storyboard: bool = True,
    saved: Path | None = None,
    sound: Sound | None = None,
    overlap: bool = True,
    on_progress: OnProgress = ignore,
) -> RenderReport:
    """Make ``story`` into the MP4 ``output`` (replaced if it exists) and, beside it, a storyboard PNG.

    seed: instead of the story's. keep_shots: when interrupted, leave a film of the finished shots; else nothing.
    saved: where the film itself is written too, with its takes. sound: what is heard with the MP4. overlap: a
    shot goes into the MP4 while the next one is made.
    Shots that an interrupted render of the same story has made are picked up (:mod:`shotstream.film.render`); the
    film is the same to the byte. Speeds are of the shots made now and exclude one warm-up block; ``end_to_end_fps``
    counts everything from their first request until the last frame has gone into the MP4. Raises
    :class:`InputError` for an endless shot, :class:`StorageError` when the disk refuses.
    """
    story.finite()
    named = story if seed is None else story.model_copy(update={"seed": seed})
    board = output.with_suffix(".png") if storyboard else None
    director.warm_up()
    with film_of(director, named) as film:
        tags = _tags(director, named, output)
        with write_film(output, video_format(director.geometry), tags, keep_shots=keep_shots, sound=sound) as mp4:
            tell = _teller(film, named, on_progress)
            again = [_picked_up(film, index, mp4, tell) for index in range(_made_shots(film))]
            denoised, started = director.denoise_seconds, perf_counter()
            made = (_make_shot(film, named, index, tell) for index in range(len(again), len(named.shots)))
            write = partial(_write_shot, mp4)
            shots = list(one_behind(write, made) if overlap else map(write, made))
            spent = Spent(perf_counter() - started, director.denoise_seconds - denoised)
        if board is not None:
            write_board(film.record, film.store, board)
        if saved is not None:
            film.save(saved)
    return _report(director, named, output, board, again, shots, spent)


@dataclass(frozen=True, slots=True)
class _MadeShot:
    """``frames``, each uint8 [height, width, 3], asked for at ``requested``; the first came ``first`` seconds later."""

    index: int
    caption: str
    frames: Iterable[np.ndarray]
    requested: float
    first: float


def _teller(film: Film, story: Story, on_progress: OnProgress) -> Tell:
    """Report how many blocks of a shot there are."""

    def tell(index: int, blocks_done: int) -> None:
        shot = story.shots[index]
        there = film.record.shots[index : index + 1]  # a clip of one's own is as long as it is
        blocks = there[0].blocks if there else shot.blocks(film.geometry)
        on_progress(
            Progress(shot=index, shots=len(story.shots), caption=shot.caption, blocks_done=blocks_done, blocks=blocks)
        )

    return tell


def _made_shots(film: Film) -> int:
    """How many shots at the film's beginning an interrupted render has made."""
    return next((index for index, shot in enumerate(film.record.shots) if shot.choice is None), len(film.record.shots))


def _picked_up(film: Film, index: int, mp4: FilmWriter, tell: Tell) -> ShotReport:
    """Write shot ``index``, which is there already."""
    shot = film.record.shots[index]
    assert shot.choice is not None
    tell(index, 0)
    made = _MadeShot(index, shot.caption, film.store.stream(shot.choice), perf_counter(), 0.0)
    written = _write_shot(mp4, made)
    tell(index, len(shot.choice.block_frames))
    return written.model_copy(update={"seconds": 0.0})


def _make_shot(film: Film, story: Story, index: int, tell: Tell) -> _MadeShot:
    """Make shot ``index``, reporting every block."""
    shot = story.shots[index]
    tell(index, 0)
    requested = perf_counter()
    seen: list[float] = []  # when the first frame was there, then every block
    made = []
    queued = index < len(film.record.shots)  # by a render that was interrupted before it was made
    take = film.queue[0] if queued else film.add(shot)
    take.on_first = lambda frame: seen.append(perf_counter())
    for block in take:
        seen.append(perf_counter())
        made.append(block.frames)
        tell(index, block.index + 1)
    return _MadeShot(index, shot.caption, chain.from_iterable(made), requested, seen[0] - requested)


def _write_shot(mp4: FilmWriter, made: _MadeShot) -> ShotReport:
    """Write a shot: its seconds are from its request until it is in the MP4."""
    first_frame = mp4.frames
    mp4.add_shot(made.caption, made.frames)
    return ShotReport(
        index=made.index,
        caption=made.caption,
        first_frame=first_frame,
        frames=mp4.frames - first_frame,
        seconds_to_first_frame=made.first,
        seconds=perf_counter() - made.requested,
    )


def _tags(director: Director, story: Story, output: Path) -> FilmTags:
    return FilmTags(
        title=output.stem,
        story=story,
        seed=story.seed,
        model=director.model_name,
        model_version=director.model_version,
    )


def _report(
    director: Director,
    story: Story,
    output: Path,
    board: Path | None,
    again: list[ShotReport],
    shots: list[ShotReport],
    spent: Spent,
) -> RenderReport:
    made = sum(shot.frames for shot in shots)
    return RenderReport(
        output=str(output),
        storyboard=None if board is None else str(board),
        model=director.model_name,
        model_version=director.model_version,
        device=str(director.device),
        dtype=str(director.dtype).removeprefix("torch."),
        seed=story.seed,
        **director.geometry.model_dump(include={"width", "height", "fps"}),
        frames=made + sum(shot.frames for shot in again),
        shots=(*again, *shots),
        picked_up=len(again),
        unknown_words=unknown_words(story, director),
        end_to_end_fps=made / spent.seconds if made else 0.0,
        denoise_fps=made / spent.denoising if made else 0.0,
        seconds_to_first_frame=shots[0].seconds_to_first_frame if shots else 0.0,
        peak_memory_bytes=peak_memory_bytes(director.device),
    )


log = logging.getLogger(__name__)

KEPT = 14 * 24 * 3600  # seconds an interrupted render waits


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
        return _new(director, story), False
    try:
        if holds_film(folder):
            film = director.reopen(folder)
            if _begins(film, story):
                return film, True
            film.close()
    except OpenElsewhereError:
        return _new(director, story), False
    except InputError as fault:
        log.warning("%s; the film is made anew", fault)  # damaged beyond mending
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _new(director, story, folder), True
    except (InputError, StorageError):
        return _new(director, story), False


def _new(director: Director, story: Story, folder: Path | None = None) -> Film:
    film = director.open(
        global_caption=story.global_caption, seed=story.seed, context_policy=story.context_policy, folder=folder
    )
    try:
        film.follow(story)
    except BaseException:
        film.close()
        raise
    return film


def _begins(film: Film, story: Story) -> bool:
    """Is ``film`` what comes of the first shots of ``story``, made one after the other?"""
    record, geometry = film.record, film.geometry
    if (record.global_caption, record.seed, record.context_policy, record.others) != (
        story.global_caption,
        story.seed,
        story.context_policy,
        (),
    ):
        return False
    if [one.caption for one in record.references] != [one.caption for one in story.references or ()]:
        return False
    return all(
        (made.caption, made.seed) == (asked.caption, asked.seed)
        and (asked.clip is not None or made.blocks == asked.blocks(geometry))
        for made, asked in zip(record.shots, story.shots, strict=False)
    ) and len(record.shots) <= len(story.shots)


def _key(director: Director, story: Story) -> str:
    """A name for all that a film of ``story`` depends on."""
    model = [director.model_name, director.model_version, str(director.device.type), str(director.dtype)]
    try:
        files = [fingerprint(Path(name)) for name in story.files]
    except OSError as fault:
        raise InputError(f"{fault.filename}: cannot be read ({fault.strerror}); the story names it") from fault
    return hashlib.sha256(json.dumps([model, story.model_dump(mode="json"), files]).encode()).hexdigest()[:16]
