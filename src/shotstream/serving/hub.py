"""Viewers of films: each has a bounded outbox, so that a slow one can hold up nobody."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from shotstream.serving.metrics import Metrics
from shotstream.serving.protocol import ModelChanged, ModelView, Notice, ServerMessage
from shotstream.serving.session import Timed

MOST_WAITING = 256  # messages of one viewer; pictures are bounded by dropping
MOST_PICTURES = 64
Letter = ServerMessage | Timed


class Outbox:
    """What one viewer still has to get. Pictures give way to newer ones; messages never do: too many, and it ends."""

    def __init__(self) -> None:
        self._letters: asyncio.Queue[Letter] = asyncio.Queue()
        self._pictures = 0
        self.dropped = 0
        self.overrun = asyncio.Event()

    def put(self, letter: Letter) -> bool:
        """Take ``letter``; False: there was no room for it."""
        if isinstance(letter, Timed):
            if self._pictures >= MOST_PICTURES:
                self.dropped += 1
                return False
            self._pictures += 1
        elif self._letters.qsize() - self._pictures >= MOST_WAITING:
            self.overrun.set()
            return False
        self._letters.put_nowait(letter)
        return True

    def empty(self) -> bool:
        return self._letters.empty()

    async def get(self) -> Letter:
        letter = await self._letters.get()
        self._pictures -= isinstance(letter, Timed)
        return letter


class Hub:
    """Who watches which film, and what is counted of it. ``tell``, ``show`` and ``measured`` come from the worker's
    thread, the rest from the event loop."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outboxes: dict[str, set[Outbox]] = defaultdict(set)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def stop(self) -> None:
        """Nobody is told anything any more."""
        self._loop = None

    def join(self, film: str, outbox: Outbox) -> None:
        self._outboxes[film].add(outbox)

    def leave(self, film: str, outbox: Outbox) -> None:
        self._outboxes[film].discard(outbox)
        if not self._outboxes[film]:
            del self._outboxes[film]

    def viewers(self) -> int:
        return sum(len(outboxes) for outboxes in self._outboxes.values())

    def watched(self, film: str) -> bool:
        return film in self._outboxes

    def tell(self, film: str, message: ServerMessage) -> None:
        if isinstance(message, Notice):
            self.metrics.noticed(message)
        self._call(film, [message])

    def show(self, film: str, pictures: list[Timed]) -> None:
        self._call(film, pictures)

    def measured(self, frames: int, seconds: float, first: float | None) -> None:
        self.metrics.block(frames, seconds, first)

    def model(self, model: ModelView) -> None:
        """Tell everybody where the model stands."""
        if model.state == "loading":
            self.metrics.loading()
        for film in list(self._outboxes):
            self._call(film, [ModelChanged(model=model)])

    def _call(self, film: str, letters: Sequence[Letter]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._post, film, letters)

    def _post(self, film: str, letters: Sequence[Letter]) -> None:
        for letter in letters:
            for outbox in self._outboxes.get(film, ()):
                if not outbox.put(letter) and isinstance(letter, Timed):
                    self.metrics.dropped()
