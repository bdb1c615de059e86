"""Timing: when frames are shown, when the next block must begin, and which come too late. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LATE = 0.25  # seconds a frame may be behind its time before it is dropped
AHEAD = 0.5  # seconds a piece of MP4 is sent before its time: its player has a clock of its own, and must not run dry
SHORTEST_LEAD, LONGEST_LEAD = 0.15, 2.0  # seconds


@dataclass(slots=True)
class Playhead:
    """The live edge of a film: every frame is due 1/fps after the one before it, or at once if none is left."""

    fps: float
    end: float = 0.0  # when everything scheduled so far has been shown

    def schedule(self, frames: int, now: float) -> list[float]:
        """When the next ``frames`` frames, made at ``now``, are due."""
        start = max(self.end, now)
        self.end = start + frames / self.fps
        return [start + index / self.fps for index in range(frames)]

    def catch_up(self) -> None:
        """Drop the schedule, as nobody is watching."""
        self.end = 0.0

    def left(self, now: float) -> float:
        """Seconds of film that are made and not yet shown."""
        return max(0.0, self.end - now)


@dataclass(slots=True)
class Lead:
    """How early to begin a block: a little longer than one takes. Later, and the film stalls; earlier, and what a
    person asks for has to wait behind what is already made."""

    cost: float = 0.3  # seconds of a block, a running mean

    def measured(self, seconds: float) -> None:
        """A block took so long."""
        self.cost += 0.3 * (seconds - self.cost)

    @property
    def seconds(self) -> float:
        return min(max(1.4 * self.cost + 0.05, SHORTEST_LEAD), LONGEST_LEAD)


@dataclass(slots=True)
class Cadence:
    """Whether a watched film keeps time. A block is due when what was shown before it has ended; late, and the picture
    stands still (an underrun). ``stood``: seconds it stood in all."""

    due: int = 0
    missed: int = 0
    stood: float = 0.0

    def came(self, late: float) -> None:
        """A block came ``late`` seconds after it was due; below 0: in time."""
        self.due += 1
        if late > 0:
            self.missed += 1
            self.stood += late


@dataclass(slots=True)
class Lateness:
    """One viewer's connection: drops what is late, so that a slow line sees fewer frames, never older ones."""

    dropped: int = 0

    def wait(self, due: float, now: float, *, frames: int = 1, ahead: float = 0.0) -> float | None:
        """Seconds to wait before what is due at ``due`` is sent at ``now``, ``ahead`` of its time; None: drop it.

        frames: how many are sent, or dropped, as one.
        """
        if now - due > MAX_LATE:
            self.dropped += frames
            return None
        return max(0.0, due - ahead - now)
