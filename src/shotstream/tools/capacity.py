"""How many films can one replica keep fluent, and how many replicas do so many viewers need? By simulation.

One replica makes the blocks of all its films one after the other, that with the earliest deadline first, as the
studio's worker does. Each film is directed by one viewer, who commands a shot, watches it to its end, and pauses.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

from shotstream.core.config import Config
from shotstream.core.geometry import Geometry
from shotstream.tools.bench.figures import Figures

LEAD = 1.4  # a block is begun so many times its own cost before its pictures are due (serving/pacing.Lead)
WARM_UP = 0.1  # share of the simulated time that is not counted
GOOD_FIRST = 2.5  # seconds to a first picture that 95 of 100 commands get
NORMAL_95 = 1.645  # standard deviations below which 95 of 100 lie
GOOD_STALLS = 0.01  # share of the film's time it may stand still


class Work(Config):
    """What was measured of one replica, in seconds. ``spread``: of a block's time, as the standard deviation of its
    logarithm; 0: each takes the same."""

    first_block: float
    block: float
    spread: float = 0.0


class Viewing(Config):
    """What viewers do. ``pause``: mean seconds between the end of a shot and the next command (exponential).

    ``lead``: how early the studio begins a block, in costs of one; what a viewer commands in mid-shot acts so late.
    ``hold``: seconds by which the player would hold back the first picture of a shot.
    """

    pause: float = 10.0
    blocks: int = 3
    lead: float = LEAD
    hold: float = 0.0


class Load(Config):
    """What ``films`` at one replica get. Seconds; ``busy`` and ``stalls`` are shares of the time."""

    films: int
    busy: float
    first_mean: float
    first_p50: float
    first_p95: float
    first_p99: float
    stalls: float
    film_seconds: float  # made in all

    @property
    def good(self) -> bool:
        """Is it what a viewer should get?"""
        return self.first_p95 <= GOOD_FIRST and self.stalls <= GOOD_STALLS


def measured(found: Figures, geometry: Geometry) -> Work:
    """The work of a replica that is like what ``found`` was measured on, decoding and encoding included."""
    block = geometry.shot_frames(2) - geometry.shot_frames(1)
    first = found.prompt_to_first_frame
    spread = math.log(max(1.0, first.p95 / first.p50)) / NORMAL_95
    return Work(first_block=first.p50, block=block / found.end_to_end_fps, spread=spread)


def offered(work: Work, viewing: Viewing, geometry: Geometry) -> float:
    """Share of one replica's time that one film asks for, were nothing ever late."""
    return shot_work(work, viewing) / (viewing.pause + work.first_block + geometry.shot_seconds(viewing.blocks))


def shot_work(work: Work, viewing: Viewing) -> float:
    """Seconds of a replica that one shot takes."""
    return work.first_block + (viewing.blocks - 1) * work.block


@dataclass(slots=True)
class _Film:
    asked: float = 0.0
    block: int = 0
    shown_until: float = 0.0


@dataclass(slots=True)
class _Replica:
    """Events are (time, number, film); blocks that wait are (deadline, number, film)."""

    work: Work
    viewing: Viewing
    geometry: Geometry
    dice: random.Random
    events: list[tuple[float, int, int]] = field(default_factory=list)
    ready: list[tuple[float, int, int]] = field(default_factory=list)
    count: int = 0

    def later(self, queue: list[tuple[float, int, int]], when: float, film: int) -> None:
        self.count += 1
        heapq.heappush(queue, (when, self.count, film))

    def length(self, block: int) -> float:
        """Seconds of film in ``block``."""
        frames = self.geometry.shot_frames(block + 1) - (self.geometry.shot_frames(block) if block else 0)
        return frames / self.geometry.fps

    def cost(self, block: int) -> float:
        mean, spread = self.work.block if block else self.work.first_block, self.work.spread
        return mean * math.exp(self.dice.gauss(-spread * spread / 2, spread)) if spread else mean

    def pause(self) -> float:
        return self.dice.expovariate(1 / self.viewing.pause) if self.viewing.pause else 0.0


def simulate(
    films: int, work: Work, viewing: Viewing, geometry: Geometry, *, seconds: float = 3600, seed: int = 0
) -> Load:
    """``seconds`` in the life of a replica with ``films`` watched films."""
    replica = _Replica(work, viewing, geometry, random.Random(seed))
    state = [_Film() for _ in range(films)]
    for film in range(films):
        replica.later(replica.events, replica.pause() + replica.dice.random(), film)
    firsts: list[float] = []
    now = busy = stalled = made = 0.0
    counted = WARM_UP * seconds
    while now < seconds:
        while replica.events and replica.events[0][0] <= now:
            when, _, film = heapq.heappop(replica.events)
            if state[film].block == 0:
                state[film].asked = when
            replica.later(replica.ready, when if state[film].block == 0 else state[film].shown_until, film)
        if not replica.ready:
            now = replica.events[0][0]
            continue
        _, _, film = heapq.heappop(replica.ready)
        one = state[film]
        cost, length = replica.cost(one.block), replica.length(one.block)
        now += cost
        late = max(0.0, now - one.shown_until) if one.block else 0.0
        if now > counted:
            busy, stalled, made = busy + cost, stalled + late, made + length
            firsts += [now - one.asked + viewing.hold] if one.block == 0 else []
        _shown(replica, film, one, now, length)
    return _load(films, firsts, busy, stalled, made, now - counted)


def _shown(replica: _Replica, film: int, one: _Film, now: float, length: float) -> None:
    """A block goes to the viewer; the next one, or the next shot, is due."""
    start = now if one.block else now + replica.viewing.hold
    one.shown_until = max(one.shown_until, start) + length
    one.block = (one.block + 1) % replica.viewing.blocks
    wanted = (
        one.shown_until - replica.viewing.lead * replica.work.block if one.block else one.shown_until + replica.pause()
    )
    replica.later(replica.events, max(now, wanted), film)


def _load(films: int, firsts: list[float], busy: float, stalled: float, made: float, seconds: float) -> Load:
    ordered = sorted(firsts) or [math.inf]

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Load(
        films=films,
        busy=busy / seconds,
        first_mean=sum(ordered) / len(ordered),
        first_p50=at(0.5),
        first_p95=at(0.95),
        first_p99=at(0.99),
        stalls=stalled / (made + stalled) if made else 0.0,
        film_seconds=made,
    )


def most_films(
    work: Work, viewing: Viewing, geometry: Geometry, *, seconds: float = 3600, limit: int = 4096
) -> Load | None:
    """The most films one replica keeps good; None if not even one."""
    low, high = 0, 1
    found: dict[int, Load] = {}

    def good(films: int) -> bool:
        found[films] = simulate(films, work, viewing, geometry, seconds=seconds)
        return found[films].good

    while high <= limit and good(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return found.get(low)
