"""Viewers of films: each has a bounded outbox, so that a slow one can hold up nobody."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from shotstream.serving.metrics import Metrics
from shotstream.serving.press import FreshBlock, Press, Prints
from shotstream.serving.protocol import ModelChanged, ModelView, Notice, ServerMessage
from shotstream.serving.wire_types import PictureKind

MOST_WAITING = 256  # messages of one viewer; pictures are bounded by dropping
MOST_PICTURES = 64  # frames


@dataclass(frozen=True, slots=True)
class Showing:
    """A block on its way to a viewer; its first of ``frames`` is due at ``due``, the others follow ``fps`` a second."""

    kind: PictureKind
    frames: int
    fps: int
    due: float
    prints: Future[Prints]

    async def printed(self) -> Prints:
        """Its pictures, once they are encoded. Other viewers wait for them too: who goes takes nothing away."""
        return await asyncio.shield(asyncio.wrap_future(self.prints))


Letter = ServerMessage | Showing


class Outbox:
    """What one viewer still has to get, its pictures of one ``kind``. Blocks that find no room are left out, whole;
    messages never are: too many, and it ends."""

    def __init__(self, kind: PictureKind = "jpeg") -> None:
        self._letters: asyncio.Queue[Letter] = asyncio.Queue()
        self._blocks = 0
        self.kind = kind
        self.pictures = 0  # frames of the blocks that wait
        self.dropped = 0
        self.overrun = asyncio.Event()

    def put(self, letter: Letter) -> bool:
        """Take ``letter``; False: there was no room for it."""
        if isinstance(letter, Showing):
            if self.pictures + letter.frames > MOST_PICTURES:
                self.dropped += letter.frames
                return False
            self._blocks += 1
            self.pictures += letter.frames
        elif self._letters.qsize() - self._blocks >= MOST_WAITING:
            self.overrun.set()
            return False
        self._letters.put_nowait(letter)
        return True

    def empty(self) -> bool:
        return self._letters.empty()

    async def get(self) -> Letter:
        letter = await self._letters.get()
        if isinstance(letter, Showing):
            self._blocks -= 1
            self.pictures -= letter.frames
        return letter


class Hub:
    """Who watches which film, and what is counted of it. ``tell``, ``show`` and ``measured`` come from the worker's
    thread, the rest from the event loop. ``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.metrics = Metrics()
        self._press = Press(clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outboxes: dict[str, set[Outbox]] = defaultdict(set)
        self._kinds: dict[str, frozenset[PictureKind]] = {}  # that a film's viewers want; the worker reads it

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def stop(self) -> None:
        """Nobody is told anything any more. Waits for what is being encoded."""
        self._loop = None
        self._press.close()

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
        """Does anybody get JPEGs, which come one by one?"""
        return "jpeg" in self._kinds.get(film, frozenset())

    def tell(self, film: str, message: ServerMessage) -> None:
        if isinstance(message, Notice):
            self.metrics.noticed(message)
        self._call(film, [message])

    def show(self, film: str, block: FreshBlock) -> float:
        """Encode ``block`` once for every kind that is wanted; waits while there is too much to encode. Returns the
        seconds a block takes lately until it is encoded, 0 if nobody watches."""
        kinds = self._kinds.get(film, frozenset())
        self._call(film, [self._showing(block, kind) for kind in kinds])
        return self._press.seconds if kinds else 0.0

    def begin(self, film: str, block: FreshBlock) -> float:
        """As :meth:`show`, but to those who get JPEGs alone: a shot's first frame, whose block is still to come."""
        self._call(film, [self._showing(block, "jpeg")])
        return self._press.seconds

    def _showing(self, block: FreshBlock, kind: PictureKind) -> Showing:
        skipped = block.skipped(kind)
        due = block.due + skipped / block.fps
        return Showing(kind, len(block.frames) - skipped, block.fps, due, self._press.print(block, kind))

    def measured(self, frames: int, seconds: float, first: float | None) -> None:
        self.metrics.block(frames, seconds, first)

    def model(self, model: ModelView) -> None:
        """Tell everybody where the model stands."""
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

    def _call(self, film: str, letters: Sequence[Letter]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._post, film, letters)

    def _post(self, film: str, letters: Sequence[Letter]) -> None:
        for letter in letters:
            for outbox in self._outboxes.get(film, ()):
                if not isinstance(letter, Showing):
                    outbox.put(letter)
                elif letter.kind == outbox.kind and not outbox.put(letter):
                    self.metrics.dropped(letter.frames)
