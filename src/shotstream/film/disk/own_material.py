"""Footage of a person's own: a clip or picture becomes takes at the film's size and rate, a take for every shot.

Cuts are where FFmpeg's scene score says so. A clip is read once, frame by frame, so that a long one needs no more
memory than a short one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, repeat
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from shotstream.core.errors import InputError
from shotstream.core.files import explained
from shotstream.core.geometry import Geometry
from shotstream.film.disk.store import checksum, write_footage
from shotstream.film.record.commands import OwnFootage
from shotstream.film.record.film_record import MAX_BLOCKS, MAX_TAKE_FRAMES
from shotstream.media.display import fitted
from shotstream.media.pictures import read_picture
from shotstream.media.video import iterate_frames, read_times

SCENE = 0.1  # FFmpeg's score (0 to 1) from which a frame begins a shot: what its `scdet` takes
SHORTEST = 6  # frames between two cuts
MOST_READ = 400_000  # frames of a clip: two hours at 50 frames/s
SLACK = 1e-4  # seconds by which timestamps are rounded


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPart:
    """Which part of a clip is wanted. ``start``, ``stop``: seconds; None: its end. ``cuts``: find them, and make every
    shot a take; else it is one. ``seconds``: how long a still picture is shown; None: the model's usual shot."""

    start: float = 0.0
    stop: float | None = None
    cuts: bool = True
    seconds: float | None = None


WHOLE = ClipPart()


def cut_clip(path: Path, folder: Path, geometry: Geometry, part: ClipPart = WHOLE) -> list[OwnFootage]:
    """The shots of the clip or picture ``path``, written to files in ``folder``; nothing of it need be kept.

    Pictures are scaled until they cover the frame, their middle cut out; frames are those a player shows at the film's
    rate. Raises :class:`InputError` for a file that is neither or is damaged, and for shots too long;
    :class:`StorageError`.
    """
    picture = read_picture(path)
    if picture is not None:
        blocks = geometry.default_blocks if part.seconds is None else geometry.blocks_for(part.seconds)
        still = fitted(picture, geometry.width, geometry.height)
        return [_written(folder / "0.mp4", repeat(still, geometry.shot_frames(blocks)), geometry)]
    if part.seconds is not None:
        raise InputError(f"{path}: seconds applies to still images only, and this is a clip; leave it out")
    return [
        _written(folder / f"{shot}.mp4", _not_too_long(path, shot, _resampled(frames, geometry), geometry), geometry)
        for shot, frames in groupby(_shown(path, geometry, part), key=attrgetter("shot"))
    ]


def find_shots(path: Path, geometry: Geometry) -> list[tuple[float, float]]:
    """Where every shot of the clip ``path`` begins and ends, in seconds. Raises :class:`InputError`."""
    found: dict[int, tuple[float, float]] = {}
    for one in _shown(path, geometry, WHOLE):
        found[one.shot] = one.begun, one.end
    return list(found.values())


def take_picture(path: Path, folder: Path, geometry: Geometry) -> OwnFootage:
    """The picture ``path``, or the first frame of a clip, written to a file in ``folder``. Raises as
    :func:`cut_clip` does."""
    picture = read_picture(path)
    if picture is None:
        picture = next(iterate_frames(path), None)
    if picture is None:
        raise InputError(f"{path}: shows nothing; give a picture")
    return _written(folder / "picture.mp4", (fitted(picture, geometry.width, geometry.height),), geometry)


def _written(file: Path, frames: Iterable[np.ndarray], geometry: Geometry) -> OwnFootage:
    count = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal count
        for frame in frames:
            count += 1
            yield frame[None]

    write_footage(file, counted(), geometry.fps)
    first, block = geometry.shot_frames(1), geometry.temporal * geometry.block_frames
    rest = max(0, count - first)
    lengths = (min(count, first), *[block] * (rest // block), *([rest % block] if rest % block else []))
    with explained(file):
        return OwnFootage(file, lengths, checksum(file))


def _not_too_long(path: Path, shot: int, frames: Iterable[np.ndarray], geometry: Geometry) -> Iterator[np.ndarray]:
    most = min(geometry.shot_frames(MAX_BLOCKS), MAX_TAKE_FRAMES)
    for number, frame in enumerate(frames):
        if number == most:
            raise InputError(f"{path}: shot {shot} of it is longer than {most / geometry.fps:g} s; take a part of it")
        yield frame


class _Shown(NamedTuple):
    """A frame of a clip, in the film's size: until when it is shown, and which shot it is of, begun when (seconds)."""

    frame: np.ndarray
    end: float
    shot: int
    begun: float


def _shown(path: Path, geometry: Geometry, part: ClipPart) -> Iterator[_Shown]:
    """The frames of the wanted part."""
    times = read_times(path)
    if len(times) > MOST_READ:
        raise InputError(f"{path}: has {len(times)} frames; at most {MOST_READ} are read, take a part of it")
    usual = times[-1] / (len(times) - 1) if len(times) > 1 and times[-1] else 1 / geometry.fps
    ends = [*times[1:], times[-1] + usual] if times else [0.0]
    stop = ends[-1] if part.stop is None else part.stop
    if not times or not 0 <= part.start < min(stop, ends[-1]):
        raise InputError(f"{path}: lasts {ends[-1]:.2f} s; there is nothing from {part.start:g} to {stop:g} s")
    cuts = _Cuts(geometry) if part.cuts else None
    shot, since, begun = 0, 0, part.start
    for start, end, picture in zip(times, ends, iterate_frames(path), strict=False):
        if start >= stop - SLACK:
            return
        if end <= part.start + SLACK:
            continue
        frame = fitted(picture, geometry.width, geometry.height)
        since += 1
        if cuts is not None and cuts.begins_shot(frame) and since > SHORTEST:
            shot, since, begun = shot + 1, 1, start
        yield _Shown(frame, min(end, stop), shot, begun)


def _resampled(frames: Iterable[_Shown], geometry: Geometry) -> Iterator[np.ndarray]:
    """The frames of one shot at the film's rate, one at least."""
    count = 0
    for one in frames:
        while count == 0 or one.begun + count / geometry.fps < one.end - SLACK:
            yield one.frame
            count += 1


class _Cuts:
    """FFmpeg's ``select`` passes the frames whose scene score is high enough."""

    def __init__(self, geometry: Geometry) -> None:
        self._graph, self._count = Graph(), 0
        source = self._graph.add_buffer(
            width=geometry.width, height=geometry.height, format=av.VideoFormat("rgb24"), time_base=Fraction(1)
        )
        select, sink = self._graph.add("select", f"gt(scene,{SCENE})"), self._graph.add("buffersink")
        source.link_to(select)
        select.link_to(sink)
        self._graph.configure()

    def begins_shot(self, frame: np.ndarray) -> bool:
        """Does ``frame``, uint8 [height, width, 3], which follows the one given last, begin a shot?"""
        shown = VideoFrame.from_ndarray(frame, format="rgb24")
        shown.pts, self._count = self._count, self._count + 1
        self._graph.push(shown)
        try:
            self._graph.pull()
        except av.BlockingIOError:  # it was not passed on
            return False
        return True
