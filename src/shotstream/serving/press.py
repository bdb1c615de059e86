"""The press: a block becomes pictures, once for all who watch, in a thread beside the worker's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore

import numpy as np

from shotstream.media.h264 import Picture as Shape
from shotstream.media.segments import segment
from shotstream.serving.frames import Picture, jpeg
from shotstream.serving.wire_types import PictureKind

MOST_PRINTING = 4  # blocks and kinds at once; who brings one more waits, so that pixels do not pile up


@dataclass(frozen=True, slots=True)
class FreshBlock:
    """What was made just now: ``frames`` uint8 [T, H, W, 3] RGB, the take's from ``first`` on.

    ``due``: when the first of them is (seconds); the others follow ``fps`` a second. ``shown``: so many of them were
    shown already to whoever gets JPEGs; an MP4 holds them all, as a player that runs dry behind one frame stumbles.
    """

    take: int
    shot: int
    first: int
    frames: np.ndarray
    fps: int
    due: float
    shown: int = 0

    def skipped(self, kind: PictureKind) -> int:
        """How many of its first frames are left out of its pictures of ``kind``."""
        return 0 if kind == "mp4" else self.shown


@dataclass(frozen=True, slots=True)
class Prints:
    """A block's pictures of one kind, in order, and since when (seconds) they are there."""

    pictures: tuple[Picture, ...]
    ready: float


class Press:
    """Encodes blocks in the order in which they come. ``seconds``: what the latest took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "shotstream-press")
        self._room = BoundedSemaphore(MOST_PRINTING)
        self.seconds = 0.0

    def print(self, block: FreshBlock, kind: PictureKind) -> Future[Prints]:
        """The block's pictures, as soon as they are encoded. Waits while there is too much to do."""
        self._room.acquire()
        try:
            prints = self._thread.submit(self._print, block, kind)
        except BaseException:
            self._room.release()
            raise
        prints.add_done_callback(lambda _: self._room.release())
        return prints

    def close(self) -> None:
        """Finish what is being encoded."""
        self._thread.shutdown()

    def _print(self, block: FreshBlock, kind: PictureKind) -> Prints:
        started = self._clock()
        pictures = _mp4(block) if kind == "mp4" else _jpegs(block)
        ready = self._clock()
        self.seconds = ready - started
        return Prints(pictures, ready)


def _jpegs(block: FreshBlock) -> tuple[Picture, ...]:
    return tuple(
        Picture(block.take, block.first + index, block.shot, jpeg(pixels), live=True)
        for index, pixels in enumerate(block.frames[block.skipped("jpeg") :], block.skipped("jpeg"))
    )


def _mp4(block: FreshBlock) -> tuple[Picture, ...]:
    frames, height, width, _ = block.frames.shape
    data = segment(block.frames, Shape(width=width, height=height, fps=block.fps)).data
    return (Picture(block.take, block.first, block.shot, data, live=True, kind="mp4", frames=frames),)
