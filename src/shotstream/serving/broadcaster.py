"""Encodes blocks once for all viewers, in a thread beside the worker, and sends them.

Each viewer has a bounded outbox, so that a slow one holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore

import numpy as np

from shotstream.media.h264 import VideoFormat, segment
from shotstream.serving.client_messages import PictureKind
from shotstream.serving.frames import Picture, jpeg
from shotstream.serving.metrics import Metrics
from shotstream.serving.protocol import FilmView, Meters, ModelChanged, ModelView, Notice, ServerMessage

MOST_ENCODING = 4  # blocks and kinds at once; who brings one more waits, so that pixels do not pile up


@dataclass(frozen=True, slots=True)
class LiveBlock:
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
class EncodedBlock:
    """A block's pictures of one kind, in order. ``ready``: when they were encoded (seconds)."""

    pictures: tuple[Picture, ...]
    ready: float


class BlockEncoder:
    """Encodes blocks in the order in which they come. ``seconds``: what the latest took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "shotstream-press")
        self._room = BoundedSemaphore(MOST_ENCODING)
        self.seconds = 0.0

    def encode(self, block: LiveBlock, kind: PictureKind) -> Future[EncodedBlock]:
        """The block's pictures, as soon as they are encoded. Waits while there is too much to do."""
        self._room.acquire()
        try:
            encoded = self._thread.submit(self._encode, block, kind)
        except BaseException:
            self._room.release()
            raise
        encoded.add_done_callback(lambda _: self._room.release())
        return encoded

    def close(self) -> None:
        """Finish what is being encoded."""
        self._thread.shutdown()

    def _encode(self, block: LiveBlock, kind: PictureKind) -> EncodedBlock:
        started = self._clock()
        pictures = _mp4(block) if kind == "mp4" else _jpegs(block)
        ready = self._clock()
        self.seconds = ready - started
        return EncodedBlock(pictures, ready)


def _jpegs(block: LiveBlock) -> tuple[Picture, ...]:
    return tuple(
        Picture(block.take, block.first + index, block.shot, jpeg(pixels), live=True)
        for index, pixels in enumerate(block.frames[block.skipped("jpeg") :], block.skipped("jpeg"))
    )


def _mp4(block: LiveBlock) -> tuple[Picture, ...]:
    frames, height, width, _ = block.frames.shape
    data = segment(block.frames, VideoFormat(width=width, height=height, fps=block.fps)).data
    return (Picture(block.take, block.first, block.shot, data, live=True, kind="mp4", frames=frames),)


MOST_WAITING = 256  # messages of one viewer; pictures are bounded by dropping
MOST_PICTURES = 64  # frames


@dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block on its way to a viewer; its first of ``frames`` is due at ``due``, the others follow ``fps`` a second."""

    kind: PictureKind
    frames: int
    fps: int
    due: float
    encoded: Future[EncodedBlock]

    async def finished(self) -> EncodedBlock:
        """Its pictures, once they are encoded. Other viewers wait for them too: who goes takes nothing away."""
        return await asyncio.shield(asyncio.wrap_future(self.encoded))


OutMessage = ServerMessage | PendingBlock
WHOLE = (FilmView, Meters, ModelChanged)  # each makes those before it worthless


class Outbox:
    """What one viewer still has to get, its pictures of one ``kind``. Blocks that find no room are left out, whole; of
    messages that say how things stand (:data:`WHOLE`) only the latest of a kind waits; of others only so many do, and
    then it ends. So a viewer that does not read costs one film's description and some short texts."""

    def __init__(self, kind: PictureKind = "jpeg") -> None:
        self._waiting: list[OutMessage] = []
        self._there = asyncio.Event()
        self.kind = kind
        self.pictures = 0  # frames of the blocks that wait
        self.dropped = 0
        self.overrun = asyncio.Event()

    def put(self, message: OutMessage) -> bool:
        """Take ``message``; False: there was no room for it."""
        if isinstance(message, PendingBlock):
            if self.pictures + message.frames > MOST_PICTURES:
                self.dropped += message.frames
                return False
            self.pictures += message.frames
        elif isinstance(message, WHOLE):
            for place, old in enumerate(self._waiting):
                if type(old) is type(message):
                    self._waiting[place] = message
                    return True
        elif sum(not isinstance(one, PendingBlock) for one in self._waiting) >= MOST_WAITING:
            self.overrun.set()
            return False
        self._waiting.append(message)
        self._there.set()
        return True

    def empty(self) -> bool:
        return not self._waiting

    async def get(self) -> OutMessage:
        await self._there.wait()
        message = self._waiting.pop(0)
        if not self._waiting:
            self._there.clear()
        if isinstance(message, PendingBlock):
            self.pictures -= message.frames
        return message


class Broadcaster:
    """Who watches which film, and what is counted of it. ``tell``, ``show``, ``kept_time`` and ``measured`` come from
    the worker's thread, the rest from the event loop. ``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.metrics = Metrics()
        self._encoder = BlockEncoder(clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outboxes: dict[str, set[Outbox]] = defaultdict(set)
        self._kinds: dict[str, frozenset[PictureKind]] = {}  # that a film's viewers want; the worker reads it

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def stop(self) -> None:
        """Send nothing more. Waits for what is being encoded."""
        self._loop = None
        self._encoder.close()

    def join(self, film: str, outbox: Outbox) -> None:
        self._outboxes[film].add(outbox)
        self._look(film)

    def leave(self, film: str, outbox: Outbox) -> None:
        self._outboxes[film].discard(outbox)
        self._look(film)

    def choose(self, film: str, outbox: Outbox, kind: PictureKind) -> None:
        """From the next block on, this viewer gets pictures of ``kind``."""
        outbox.kind = kind
        self._look(film)

    def viewers(self) -> int:
        return sum(len(outboxes) for outboxes in self._outboxes.values())

    def watched(self, film: str) -> bool:
        return film in self._kinds

    def hurried(self, film: str) -> bool:
        """Whether any viewer gets JPEGs, which are sent one by one."""
        return "jpeg" in self._kinds.get(film, frozenset())

    def tell(self, film: str, message: ServerMessage) -> None:
        if isinstance(message, Notice):
            self.metrics.noticed(message)
        self._call(film, [message])

    def show(self, film: str, block: LiveBlock) -> float:
        """Encode ``block`` once for every kind that is wanted; waits while there is too much to encode. Returns the
        seconds a block takes lately until it is encoded, 0 if nobody watches."""
        kinds = self._kinds.get(film, frozenset())
        self._call(film, [self._showing(block, kind) for kind in kinds])
        return self._encoder.seconds if kinds else 0.0

    def begin(self, film: str, block: LiveBlock) -> float:
        """As :meth:`show`, but to those who get JPEGs alone: a shot's first frame, whose block is still to come."""
        self._call(film, [self._showing(block, "jpeg")])
        return self._encoder.seconds

    def _showing(self, block: LiveBlock, kind: PictureKind) -> PendingBlock:
        skipped = block.skipped(kind)
        due = block.due + skipped / block.fps
        return PendingBlock(kind, len(block.frames) - skipped, block.fps, due, self._encoder.encode(block, kind))

    def kept_time(self, late: float, interval: float) -> None:
        self.metrics.kept_time(late, interval)

    def measured(self, frames: int, seconds: float, first: float | None) -> None:
        self.metrics.block(frames, seconds, first)

    def model(self, model: ModelView) -> None:
        """Send the model's state to every viewer."""
        if model.state == "loading":
            self.metrics.loading()
        for film in list(self._outboxes):
            self._call(film, [ModelChanged(model=model)])

    def _look(self, film: str) -> None:
        """Note which kinds of pictures the viewers of ``film`` want."""
        if self._outboxes[film]:
            self._kinds[film] = frozenset(outbox.kind for outbox in self._outboxes[film])
        else:
            del self._outboxes[film]
            self._kinds.pop(film, None)

    def _call(self, film: str, messages: Sequence[OutMessage]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._post, film, messages)

    def _post(self, film: str, messages: Sequence[OutMessage]) -> None:
        for message in messages:
            for outbox in self._outboxes.get(film, ()):
                if not isinstance(message, PendingBlock):
                    outbox.put(message)
                elif message.kind == outbox.kind and not outbox.put(message):
                    self.metrics.dropped(message.frames)
