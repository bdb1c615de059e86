"""Reads video as a player shows it: frames as arrays, and metadata.

Frames that an edit list hides are left out, damaged ones are errors, and every file name is a file on this machine.
Damage that leaves no trace cannot be told: a video is best kept with a checksum of its own beside it.
Frames are counted in the order in which they are shown, whatever their timestamps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from shotstream.core.errors import InputError
from shotstream.media.decoding import damaged, decoded
from shotstream.media.display import displayed, refuse_what_cannot_be_shown
from shotstream.media.provenance import FilmTags, tags_of

# Containers that hold what they show. Playlists are left out: they name other files and addresses.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,gif,apng,webp_pipe,h264,hevc,av1,obu,ivf,rawvideo"
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


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
    """Every frame of ``path`` as it is shown, in order, uint8 [height, width, 3] RGB.

    Raises :class:`InputError` if it is no video, is damaged, or its colours cannot be shown rightly.
    """
    with open_video(path) as (container, stream):
        aspect = float(stream.sample_aspect_ratio or 1)
        for frame in decoded(container, stream, str(path)):
            yield displayed(frame, aspect, str(path))


def read_video(path: Path, first: int = 0, last: int | None = None) -> np.ndarray:
    """Frames ``first`` to ``last`` (not included; None: to the end) of ``path``: uint8 [T, height, width, 3], RGB.

    Raises as :func:`iterate_frames` does, and :class:`InputError` if there are fewer frames.
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
    """How many frames ``path`` shows: all are decoded. Raises as :func:`iterate_frames` does."""
    with open_video(path) as (container, stream):
        count = 0
        for frame in decoded(container, stream, str(path)):
            refuse_what_cannot_be_shown(frame, str(path))
            count += 1
        return count


def read_times(path: Path) -> list[float]:
    """When each frame of ``path`` shows, in seconds from the first.

    Decoded is only what does not tell without: no timestamps, or a beginning that is left out because what it refers
    to is not there. Raises as :func:`iterate_frames` does.
    """
    with open_video(path) as (container, stream):
        try:
            packets = [(one.pts, one.is_keyframe, one.is_discard) for one in container.demux(stream) if one.size]
        except av.FFmpegError as fault:
            raise damaged(str(path), fault.strerror) from fault
        base = stream.time_base or Fraction(1)
    shown = sorted(pts for pts, _, hidden in packets if pts is not None and not hidden)
    first, is_key, _ = packets[0] if packets else (None, False, False)
    if shown and is_key and first is not None and first <= shown[0] and all(pts is not None for pts, _, _ in packets):
        return [float((stamp - shown[0]) * base) for stamp in shown]
    with open_video(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 1)
        found = [frame.time for frame in decoded(container, stream, str(path))]
    times = [one for one in found if one is not None]
    if len(times) < len(found):
        return [index / rate for index in range(len(found))]
    return [time - min(times) for time in times]


def read_info(path: Path) -> FilmInfo:
    """Size, rate, length, chapters and metadata of ``path``. Raises :class:`InputError` if it is no video."""
    with open_video(path) as (container, stream):
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


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container at ``path`` and its picture track. Raises :class:`InputError` if it is no video.

    The name is that of a file, whatever it looks like: nothing is fetched from a network, and no playlist is followed.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; check the name")
    if not path.is_file():
        raise InputError(f"{path}: is no file; name a video")
    try:
        container = av.open(f"file:{os.fspath(path)}", options=dict(_OPTIONS), metadata_errors="replace")
    except (av.FFmpegError, OSError) as fault:
        raise InputError(f"{path}: cannot be read as a video ({fault.strerror})") from fault
    with container:
        if container.format.name == "webp_pipe" and _is_animated(path):
            raise InputError(f"{path}: is an animated WebP, which cannot be read; save it as MP4, GIF or APNG")
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:  # a cover of music
            raise InputError(f"{path}: has no picture track")
        yield container, stream


def _is_animated(webp: Path) -> bool:
    """Does the file say that it moves? FFmpeg would call it damaged."""
    with webp.open("rb") as file:
        start = file.read(21)
    return start[12:16] == b"VP8X" and bool(start[20] & 2)
