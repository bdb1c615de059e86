"""A story becomes a film on disk, shot after shot, measured on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.export import picture, write_board
from shotstream.film.film import Film
from shotstream.film.measures import peak_memory_bytes
from shotstream.film.report import Progress, RenderReport, ShotReport
from shotstream.media.mp4 import FilmWriter, write_film
from shotstream.media.provenance import FilmTags
from shotstream.sampling.overlap import one_behind

OnProgress = Callable[[Progress], None]


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
    Speeds exclude one warm-up block; ``end_to_end_fps`` counts everything from the first shot's request until the
    last frame has gone into the MP4. Raises :class:`StorageError` when the disk refuses.
    """
    named = story if seed is None else story.model_copy(update={"seed": seed})
    board = output.with_suffix(".png") if storyboard else None
    director.warm_up()
    denoised, started = director.denoise_seconds, perf_counter()
    with closing(director.open(global_caption=named.global_caption, seed=named.seed)) as film:
        tags = _tags(director, named, output)
        with write_film(output, picture(director.geometry), tags, keep_shots=keep_shots) as mp4:
            made = (_make_shot(film, named, index, on_progress) for index in range(len(named.shots)))
            write = partial(_write_shot, mp4)
            shots = list(one_behind(write, made) if overlap else map(write, made))
            seconds, denoising = perf_counter() - started, director.denoise_seconds - denoised
        if board is not None:
            write_board(film, board)
    return _report(director, named, output, board, shots, seconds, denoising)


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


def _make_shot(film: Film, story: Story, index: int, on_progress: OnProgress) -> _MadeShot:
    """Make shot ``index``, telling of every block."""
    shot = story.shots[index]
    blocks = shot.blocks(film.geometry)

    def tell(blocks_done: int) -> None:
        on_progress(
            Progress(shot=index, shots=len(story.shots), caption=shot.caption, blocks_done=blocks_done, blocks=blocks)
        )

    tell(0)
    requested, first = perf_counter(), 0.0
    made = []
    for block in film.shot(shot.caption, shot.seconds, shot.seed):
        first = first or perf_counter() - requested
        made.append(block.frames)
        tell(block.index + 1)
    return _MadeShot(index, shot.caption, np.concatenate(made), requested, first)


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
    shots: list[ShotReport],
    seconds: float,
    denoising: float,
) -> RenderReport:
    frames = sum(shot.frames for shot in shots)
    return RenderReport(
        output=str(output),
        storyboard=None if board is None else str(board),
        model=director.model_name,
        model_version=director.model_version,
        device=str(director.device),
        dtype=str(director.dtype).removeprefix("torch."),
        seed=story.seed,
        **director.geometry.model_dump(include={"width", "height", "fps"}),
        frames=frames,
        shots=tuple(shots),
        unknown_words=tuple(unknown_words(director, story)),
        end_to_end_fps=frames / seconds,
        denoise_fps=frames / denoising,
        seconds_to_first_frame=shots[0].seconds_to_first_frame,
        peak_memory_bytes=peak_memory_bytes(director.device),
    )
