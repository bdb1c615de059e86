"""Reading films: frames as arrays, and what the file says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from shotstream.core.errors import InputError
from shotstream.media.provenance import FilmTags, tags_of

# Between RGB and YUV: swscale's quick default is biased by a whole level and 10 dB worse than this.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One marked stretch of a film, in seconds."""

    title: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmInfo:
    """What a video file says about itself. ``tags`` is None for films that are not ours."""

    width: int
    height: int
    fps: float
    frames: int
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str]
    tags: FilmTags | None


def iterate_frames(path: Path) -> Iterator[np.ndarray]:
    """Every frame of ``path`` in order, uint8 [height, width, 3] RGB. Raises :class:`InputError` if it is no video."""
    with _opened(path) as container:
        try:
            for frame in container.decode(video=0):
                yield frame.reformat(format="rgb24", interpolation=EXACT).to_ndarray()
        except av.FFmpegError as fault:
            raise InputError(f"{path}: damaged video ({fault.strerror}); make or fetch it again") from fault


def read_video(path: Path, first: int = 0, last: int | None = None) -> np.ndarray:
    """Frames ``first`` to ``last`` (not included; None: to the end) of ``path``: uint8 [T, height, width, 3], RGB.

    Raises :class:`InputError` if the file is no video or has fewer frames.
    """
    frames = []
    for index, frame in enumerate(iterate_frames(path)):
        if last is not None and index >= last:
            break
        if index >= first:
            frames.append(frame)
    if not frames or (last is not None and len(frames) < last - first):
        raise InputError(f"{path}: holds fewer frames than the range {first} to {last or 'end'} asks for")
    return np.stack(frames)


def count_frames(path: Path) -> int:
    """How many frames ``path`` really holds, by its packets: none is decoded. Raises :class:`InputError`."""
    with _opened(path) as container:
        try:
            return sum(1 for packet in container.demux(video=0) if packet.size)
        except av.FFmpegError as fault:
            raise InputError(f"{path}: damaged video ({fault.strerror}); make or fetch it again") from fault


def read_info(path: Path) -> FilmInfo:
    """Size, rate, length, chapters and metadata of ``path``. Raises :class:`InputError` if it is no video."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        chapters = tuple(
            Chapter(
                title=chapter["metadata"].get("title", ""),
                start=float(chapter["start"] * (chapter["time_base"] or Fraction(1))),
                end=float(chapter["end"] * (chapter["time_base"] or Fraction(1))),
            )
            for chapter in container.chapters()
        )
        return FilmInfo(
            width=stream.width,
            height=stream.height,
            fps=float(stream.average_rate or 0),
            frames=stream.frames,
            chapters=chapters,
            metadata=dict(container.metadata),
            tags=tags_of(dict(container.metadata)),
        )


def _opened(path: Path) -> av.container.InputContainer:
    try:
        container = av.open(str(path))
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such file; check the name") from fault
    except (av.FFmpegError, OSError) as fault:
        raise InputError(f"{path}: cannot be read as a video ({fault.strerror})") from fault
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: has no picture track")
    return container
