"""Films for measuring: one long story as a file, and shots asked for one by one. The story is in ``setups.py``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

from shotstream.core.process import held_memory_bytes
from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.render import render
from shotstream.film.report import Progress, RenderReport
from shotstream.film.takes.take import Take
from shotstream.tools.bench.figures import Spread
from shotstream.tools.bench.setups import GLOBAL_CAPTION, Setup, captions

EARLY, COMPARED = 1, 5  # the first shot is left out; so many shots on either side
SHORT = 2  # blocks of a shot that is only asked for to see how soon it starts


@dataclass(frozen=True, slots=True)
class Filmed:
    """A film's report; when each shot was begun (and the last one ended); and the memory held then."""

    report: RenderReport
    clock: tuple[float, ...]
    held: tuple[int, ...]

    def shot_seconds(self) -> list[float]:
        """What each shot cost."""
        return [after - before for before, after in zip(self.clock, self.clock[1:], strict=False)]

    def growth_shots(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last shot of the early and of the late ones that are compared."""
        count = len(self.held)
        compared = max(1, min(COMPARED, (count - EARLY) // 2))
        return (EARLY, EARLY + compared - 1), (count - compared, count - 1)

    def cost_growth(self) -> float:
        """Median cost of the late shots over that of the early ones."""
        seconds = self.shot_seconds()
        early, late = (median(seconds[first : last + 1]) for first, last in self.growth_shots())
        return late / early

    def memory_shots(self) -> tuple[int, int]:
        """Shots at whose beginning the memory held is compared: the fifth, and the last."""
        return min(COMPARED - 1, len(self.held) - 1), len(self.held) - 1

    def memory_growth(self) -> float:
        """Memory held at the last shot over that at the fifth."""
        early, late = self.memory_shots()
        return self.held[late] / self.held[early]


def film(director: Director, story: Story, setup: Setup) -> Filmed:
    """Make ``story`` into a film file that nobody keeps."""
    clock: list[float] = []
    held: list[int] = []

    def look(progress: Progress) -> None:
        if progress.blocks_done == 0:
            clock.append(perf_counter())
            held.append(held_memory_bytes(director.device))

    with TemporaryDirectory(prefix="shotstream-bench-") as folder:
        output = Path(folder) / "film.mp4"
        report = render(director, story, output, storyboard=False, overlap=setup.overlap, on_progress=look)
        clock.append(perf_counter())
    return Filmed(report, tuple(clock), tuple(held))


def first_frames(director: Director, samples: int, setup: Setup) -> list[float]:
    """Seconds from asking for a shot to its first frame, shot after shot, each after the one before has ended."""
    director.warm_up()
    seconds, length = [], director.geometry.shot_seconds(SHORT)
    with closing(director.open(global_caption=GLOBAL_CAPTION)) as made:
        for index, caption in enumerate(captions(samples + 1)):
            if setup.read_ahead:
                director.generator.read_ahead(f"{GLOBAL_CAPTION} {caption}")
            asked = perf_counter()
            take = made.shot(caption, length)
            first = _first_frame(take)
            if index:  # the very first has no past
                seconds.append(first - asked)
            take.wait()
            if setup.prepare:
                made.prepare()
    return seconds


def _first_frame(take: Take) -> float:
    """Make the first block of ``take``; when its first frame was there."""
    seen: list[float] = []
    take.on_first = lambda frame: seen.append(perf_counter())
    next(iter(take))
    return seen[0] if seen else perf_counter()


def spread(seconds: Sequence[float]) -> Spread:
    """Median and 95th percentile."""
    p95 = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Spread(p50=median(seconds), p95=p95)
