"""A story becomes a film on disk, shot after shot, measured on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from shotstream.core.process_memory import peak_memory_bytes
from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.export import picture, write_board
from shotstream.film.film import Film
from shotstream.film.report import Progress, RenderReport, ShotReport
from shotstream.film.unfinished import film_of
from shotstream.media.mp4 import FilmWriter, write_film
from shotstream.media.provenance import FilmTags
from shotstream.sampling.overlap import one_behind

OnProgress = Callable[[Progress], None]
Tell = Callable[[int, int], None]  # shot, blocks done


class Spent(NamedTuple):
    """Seconds: in all, and of these in denoising."""

    seconds: float
    denoising: float


def ignore(progress: Progress) -> None:
    """Nobody watches."""


def render(
    director: Director,
    story: Story,
    output: Path,
    *,
    seed: int | None = None,
    keep_shots: bool = False,
    storyboard: bool = True,
    overlap: bool = True,
    on_progress: OnProgress = ignore,
) -> RenderReport:
    """Make ``story`` into the MP4 ``output`` (replaced if it exists) and, beside it, a storyboard PNG.

    seed: instead of the story's. keep_shots: when interrupted, leave a film of the finished shots; else nothing.
    overlap: a shot goes into the MP4 while the next one is made.
    Shots that an interrupted render of the same story has made are picked up (:mod:`shotstream.film.unfinished`); the
    film is the same to the byte. Speeds are of the shots made now and exclude one warm-up block; ``end_to_end_fps``
    counts everything from their first request until the last frame has gone into the MP4. Raises
    :class:`StorageError` when the disk refuses.
    """
    named = story if seed is None else story.model_copy(update={"seed": seed})
    board = output.with_suffix(".png") if storyboard else None
    director.warm_up()
    with film_of(director, named) as film:
        tags = _tags(director, named, output)
        with write_film(output, picture(director.geometry), tags, keep_shots=keep_shots) as mp4:
            tell = _teller(film, named, on_progress)
            again = [_picked_up(film, index, mp4, tell) for index in range(_made_shots(film))]
            denoised, started = director.denoise_seconds, perf_counter()
            made = (_make_shot(film, named, index, tell) for index in range(len(again), len(named.shots)))
            write = partial(_write_shot, mp4)
            shots = list(one_behind(write, made) if overlap else map(write, made))
            spent = Spent(perf_counter() - started, director.denoise_seconds - denoised)
        if board is not None:
            write_board(film, board)
    return _report(director, named, output, board, again, shots, spent)


def unknown_words(director: Director, story: Story) -> list[str]:
    """Words of any caption of ``story`` that the model does not know, in order, each once."""
    captions = [story.global_caption, *(shot.caption for shot in story.shots)]
    return list(dict.fromkeys(word for caption in captions for word in director.unknown_words(caption)))


@dataclass(frozen=True, slots=True)
class _MadeShot:
    """``frames`` uint8 [T, height, width, 3], asked for at ``requested``; the first came ``first`` seconds later."""

    index: int
    caption: str
    frames: np.ndarray
    requested: float
    first: float


def _teller(film: Film, story: Story, on_progress: OnProgress) -> Tell:
    """Reports how many blocks of a shot there are."""

    def tell(index: int, blocks_done: int) -> None:
        shot = story.shots[index]
        blocks = shot.blocks(film.geometry)
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
    made = _MadeShot(index, shot.caption, film.store.frames(shot.choice), perf_counter(), 0.0)
    written = _write_shot(mp4, made)
    tell(index, len(shot.choice.block_frames))
    return written.model_copy(update={"seconds": 0.0})


def _make_shot(film: Film, story: Story, index: int, tell: Tell) -> _MadeShot:
    """Make shot ``index``, telling of every block."""
    shot = story.shots[index]
    tell(index, 0)
    requested = perf_counter()
    seen: list[float] = []  # when the first frame was there, then every block
    made = []
    planned = index < len(film.record.shots)  # by a render that was interrupted before it was made
    take = film.queue[0] if planned else film.shot(shot.caption, shot.seconds, shot.seed)
    take.on_first = lambda frame: seen.append(perf_counter())
    for block in take:
        seen.append(perf_counter())
        made.append(block.frames)
        tell(index, block.index + 1)
    return _MadeShot(index, shot.caption, np.concatenate(made), requested, seen[0] - requested)


def _write_shot(mp4: FilmWriter, made: _MadeShot) -> ShotReport:
    """Write a shot: its seconds are from its request until it is in the MP4."""
    first_frame = mp4.frames
    mp4.add_shot(made.caption, made.frames)
    return ShotReport(
        index=made.index,
        caption=made.caption,
        first_frame=first_frame,
        frames=len(made.frames),
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
        unknown_words=tuple(unknown_words(director, story)),
        end_to_end_fps=made / spent.seconds if made else 0.0,
        denoise_fps=made / spent.denoising if made else 0.0,
        seconds_to_first_frame=shots[0].seconds_to_first_frame if shots else 0.0,
        peak_memory_bytes=peak_memory_bytes(director.device),
    )
