"""One open film: commands change it, ``step`` makes its next block when due. The worker's thread owns it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from shotstream.core.errors import InputError
from shotstream.film.film import Film
from shotstream.film.takes.take import Block, Take
from shotstream.serving import protocol
from shotstream.serving.broadcaster import LiveBlock
from shotstream.serving.library import Library, Published
from shotstream.serving.pacing import Cadence, Lead, Playhead
from shotstream.serving.protocol import MAX_QUEUE, FilmView, Meters, Point, RefusalCode
from shotstream.serving.views import film_view

Clock = Callable[[], float]
P = TypeVar("P", bound=Take | None)
MAX_BLOCKS = 100  # of a take whose length is asked for; one that goes on until it is cut may be longer
MEASURED_BLOCKS = 8  # the speed shown is that of so many latest blocks


class Audience(Protocol):
    """Who watches."""

    def watched(self, film: str) -> bool: ...

    def hurried(self, film: str) -> bool:
        """Whether a viewer can be shown a shot's first frame before its block is complete."""

    def tell(self, film: str, message: protocol.ServerMessage) -> None: ...

    def show(self, film: str, block: LiveBlock) -> float:
        """Show a block to those who watch; returns the seconds it takes lately until one is encoded."""

    def begin(self, film: str, block: LiveBlock) -> float:
        """The same for a shot's first frame, before its block is there."""

    def kept_time(self, late: float, interval: float) -> None:
        """A block came ``late`` seconds after what was shown before it had ended (below 0: in time), ``interval``
        seconds after the one before it."""

    def measured(self, frames: int, seconds: float, first: float | None) -> None:
        """A block was made; ``first``: the seconds from a command to it, if it is its shot's first."""


class RefusedError(Exception):
    """A command that changed nothing, by name."""

    def __init__(self, code: RefusalCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Session:
    """``id``'s film. Its commands and steps never run at the same time."""

    def __init__(self, id: str, film: Film, library: Library, audience: Audience, clock: Clock) -> None:
        self.id, self.film = id, film
        self._library, self._audience, self._clock = library, audience, clock
        self._playhead, self._lead, self._cadence = Playhead(film.geometry.fps), Lead(), Cadence()
        self._take: Take | None = None
        self._blocks: Iterator[Block] = iter(())
        self._asked: dict[int, float] = {}  # when a take was asked for
        self._costs: deque[tuple[int, float]] = deque(maxlen=MEASURED_BLOCKS)
        self._first_frame: float | None = None
        self._came = 0.0  # when the latest block did
        self._shown = 0  # frames of the block under work that are shown already
        self._position = library.position(id)
        self.fault = ""  # why the next take has failed; nothing is begun until a person says resume
        self.failures = 0  # of the take that comes next, in a row
        self.asked_by = ""  # the client whose command it heeded last

    @property
    def paused(self) -> bool:
        """Is nothing begun from the queue?"""
        return bool(self.fault) or self.film.paused

    @property
    def busy(self) -> bool:
        """Is there anything to make?"""
        return self._take is not None or (bool(self.film.queue) and not self.paused)

    def view(self) -> FilmView:
        """The film as it stands; published, so that nobody who only reads it waits for a block."""
        name = self._library.name(self.id)
        view = film_view(self.id, self.film, name=name, paused=self.paused, position=self._position, begun=self._take)
        self._library.published[self.id] = Published(view, self.film.record, self.film.store, self.fault)
        return view

    def meters(self) -> Meters:
        frames, seconds = sum(one for one, _ in self._costs), sum(one for _, one in self._costs)
        fps = frames / seconds if seconds else None
        kept = self._cadence
        return Meters(
            fps=fps,
            first_frame_seconds=self._first_frame,
            queue=len(self.film.queue),
            due=kept.due,
            underruns=kept.missed,
            stood_seconds=kept.stood,
        )

    def announce(self) -> None:
        """A command has changed the film: drop a running take whose shot has gone, and send viewers the new state."""
        if self._take is not None and self.film.running is not self._take:
            self.forget()
        self._audience.tell(self.id, self.view())
        self._audience.tell(self.id, self.meters())

    def due(self) -> float | None:
        """When the next step has to be taken: early enough to be seamless, late enough to heed the director.

        None: there is nothing to do. Nobody watching, it is always now.
        """
        if not self.busy:
            return None
        return self.turn if self._audience.watched(self.id) else 0.0

    @property
    def turn(self) -> float:
        """Priority when not every film can be served in time: the lowest first; it rises with what a film has had."""
        return self._playhead.end - self._lead.seconds

    def step(self) -> bool:
        """Make one block, or end the take that has no more: then True. What the model raises goes on; the take is
        queued."""
        if self._take is None:
            self._library.refuse_if_full()
            self._refuse_too_long(self.film.queue[0])
            self._take = self.film.queue[0]
            self._take.on_first = self._show_first
            self._asked.setdefault(self._take.id, self._clock())
            self._blocks = iter(self._take)
            self._audience.tell(self.id, self.view())  # its first block may take long
        take, started = self._take, self._clock()
        before = take.blocks_made
        self._shown = 0
        try:
            block = next(self._blocks, None)
        except BaseException:
            self._take = None
            raise
        if block is None:
            self._ended()
            return True
        frames = len(block.frames)
        encoding = self._show(take, take.frame_count - frames, block.frames)
        cost = self._clock() - started  # and the wait for those before it to be encoded, if there was one
        self._costs.append((frames, cost))
        self._lead.measured(cost + encoding)
        self._audience.measured(frames, cost, None if before else self._first_frame)
        self._audience.tell(self.id, self.meters())
        return False

    def extend(self, blocks: int) -> Take:
        """Let the running take go on. Raises :class:`RefusedError`, :class:`InputError`."""
        take = self.running()
        self._refuse_too_long(take, blocks)
        return take.extend(blocks)

    def _refuse_too_long(self, take: Take, more: int = 0) -> None:
        shot = self.film.record.shots[take.shot]
        wanted = max(shot.blocks_of(take.record), take.blocks_made) + more
        if wanted > MAX_BLOCKS:
            raise InputError(f"shot {take.shot} would have {wanted} blocks; a studio makes at most {MAX_BLOCKS}")

    def forget(self) -> None:
        """Let go of the take that was being made: it is queued again."""
        self._take, self._blocks = None, iter(())

    def _show_first(self, frame: np.ndarray) -> None:
        """The first frame of the take that has just begun, before the rest of its block is there."""
        if self._take is not None and self._audience.hurried(self.id):
            self._show(self._take, 0, frame[None], whole=False)
            self._shown = 1

    def _show(self, take: Take, first: int, frames: np.ndarray, *, whole: bool = True) -> float:
        """Show ``frames``, the take's from ``first`` on, made now; returns the seconds until they are encoded.

        ``whole``: they are a block, and no more than its first frame was shown before.
        """
        now, fps, free, shown = self._clock(), self.film.geometry.fps, self._playhead.end, self._shown
        if self._audience.watched(self.id):
            self._keep_time(take, first, now)
        else:
            self._playhead.catch_up()
        self._came = now
        due = self._playhead.schedule(len(frames) - shown, now)[0] - shown / fps
        self._audience.tell(self.id, self.view())
        block = LiveBlock(take.id, take.shot, first, frames, fps, due, shown)
        encoding = (self._audience.show if whole else self._audience.begin)(self.id, block)
        if first + shown == 0:  # nobody waits for it before the film so far has been shown
            self._first_frame = max(0.0, now + encoding - max(self._asked.pop(take.id), min(free, now)))
        return encoding

    def _keep_time(self, take: Take, first: int, now: float) -> None:
        """Note whether frames, made ``now``, that follow others come in time. The rest of a shot's first block is not
        counted: its first frame is shown early, and waits for it."""
        free = self._playhead.end
        follows = first > 0 or self._asked.get(take.id, free) < free
        if free and follows and not self._shown:
            late = now - free
            self._cadence.came(late)
            self._audience.kept_time(late, now - self._came)

    def _ended(self) -> None:
        self.forget()
        self.failures = 0
        self._library.measure(self.id)
        self._audience.tell(self.id, self.view())
        self.film.prepare()

    def enqueue(self, ask: Callable[[], P]) -> P:
        """Queue the take that ``ask`` asks for, and go on with the queue if it was held."""
        if len(self.film.queue) >= MAX_QUEUE:
            raise RefusedError("queue_full", f"{MAX_QUEUE} shots are waiting; wait until some are made")
        self._library.refuse_if_full()
        take = ask()
        self.resume()
        if take is not None:
            self._asked[take.id] = self._clock()
        return take

    def take_in(self, take_in: Callable[[Film], tuple[int, ...]]) -> tuple[int, ...]:
        """Let footage of a person's own become the film's; returns the ids it has there. Raises :class:`InputError`,
        :class:`StorageError`."""
        ids = take_in(self.film)
        self._library.measure(self.id)
        self.announce()
        return ids

    def running(self) -> Take:
        """The take being made. Raises :class:`RefusedError` if there is none."""
        take = self.film.running
        if take is None:
            raise RefusedError("nothing_running", "no shot is being made; shoot one first")
        return take

    def end_running(self, end: Callable[[Take], Take]) -> Take:
        """End the take, and be ready for the next: what is queued comes at the next block's time."""
        take = end(self.running())
        self._ended()
        return take

    def stop(self) -> Take | None:
        """End the running take, if there is one, and hold the queue."""
        self.film.pause()
        return self.end_running(Take.stop) if self.film.running else None

    def resume(self) -> None:
        """Go on with the queue."""
        if self.paused:  # what waited is asked for now
            self._asked = dict.fromkeys(self._asked, self._clock())
        self.film.resume()
        self.fault, self.failures = "", 0

    def clean(self, *, unchosen: bool) -> int:
        """Make room; returns the bytes freed. Raises :class:`StorageError`."""
        freed = self.film.clean(unchosen=unchosen)
        self._library.measure(self.id)
        self._audience.tell(self.id, self.view())
        return freed

    def stand(self, position: Point) -> None:
        """Note where the viewer stands."""
        _, take = self.film.record.find(position.take)
        if position.frame >= max(1, take.frames):
            raise InputError(f"take {position.take} has {take.frames} frames")
        self._position = position
        self._library.note(self.id, position)
        self.view()
