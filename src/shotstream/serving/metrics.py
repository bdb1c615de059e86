"""Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from shotstream.serving.protocol import Notice

# Seconds, closest where it matters: the product's promise is a first frame within 2.5 s, a block within its own length.
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
# A block of 12 frames is 0.75 s long at 16 frames/s: in time, the next one follows about as late.
INTERVALS = (0.2, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
__all__ = ["CONTENT_TYPE", "FleetMetrics", "Metrics", "Occupied"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupied:
    """What the films of a studio hold right now. ``busy``: have something to make; ``disk_bytes``: of all films;
    ``threads``: that make a block."""

    films: int
    busy: int
    queued: int
    cache_bytes: int
    disk_bytes: int
    threads: int


class Metrics:
    """Everything one studio counts, in a registry of its own. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"shotstream_{name}", said, labels, registry=registry)

        def gauge(name: str, said: str) -> Gauge:
            return Gauge(f"shotstream_{name}", said, registry=registry)

        def seconds(name: str, said: str, buckets: Sequence[float] = BUCKETS) -> Histogram:
            return Histogram(f"shotstream_{name}_seconds", said, buckets=buckets, registry=registry)

        self._frames = counter("frames", "Frames made")
        self._blocks = seconds("block", "From a block's beginning to its pictures, until they can be encoded")
        self._first = seconds("first_frame", "From a command to its shot's first picture, encoded")
        self._interval = seconds("block_interval", "Between two blocks of a film that is watched", INTERVALS)
        self._due = counter("deadlines", "Blocks that were due behind others, of films that are watched")
        self._missed = counter("deadlines_missed", "Of these, blocks that came late: the picture stood still")
        self._stood = counter("underrun_seconds", "How long pictures stood still because a block was late")
        self._fps = gauge("fps", "Frames a second the latest block was made with")
        self._notices = counter("notices", "What films were told: failures, restarts, repairs", "code")
        self._loads = counter("model_loads", "How often the model was loaded; beyond 1, it had died")
        self._dropped = counter("dropped_frames", "Frames that viewers did not get because they were late")
        self._viewers = gauge("viewers", "Live connections")
        self._ready = gauge("ready", "1 if films can be made now")
        self._films = gauge("films_open", "Films in memory")
        self._busy = gauge("films_busy", "Films with something to make")
        self._queued = gauge("queued_takes", "Takes that wait")
        self._cache = gauge("cache_bytes", "Keys and values the model holds")
        self._threads = gauge("threads", "Threads that make a block")
        self._disk = gauge("disk_bytes", "Bytes of all films kept")

    def block(self, frames: int, seconds: float, first: float | None) -> None:
        """A block of so many frames took so long; ``first``: and its shot began so late after its command."""
        self._frames.inc(frames)
        self._blocks.observe(seconds)
        self._fps.set(frames / seconds if seconds else 0)
        if first is not None:
            self._first.observe(first)

    def kept_time(self, late: float, interval: float) -> None:
        """A block that was due came ``late`` seconds late (below 0: in time), ``interval`` after the one before it."""
        self._due.inc()
        self._interval.observe(interval)
        if late > 0:
            self._missed.inc()
            self._stood.inc(late)

    def noticed(self, notice: Notice) -> None:
        self._notices.labels(notice.code).inc()

    def loading(self) -> None:
        self._loads.inc()

    def dropped(self, frames: int) -> None:
        self._dropped.inc(frames)

    def page(self, *, viewers: int, ready: bool, occupied: Occupied | None) -> bytes:
        """The text Prometheus reads. ``occupied``: None while nobody can say; what was said last stands."""
        self._viewers.set(viewers)
        self._ready.set(ready)
        if occupied is not None:
            self._films.set(occupied.films)
            self._busy.set(occupied.busy)
            self._queued.set(occupied.queued)
            self._cache.set(occupied.cache_bytes)
            self._disk.set(occupied.disk_bytes)
            self._threads.set(occupied.threads)
        return generate_latest(self._registry)


class FleetMetrics:
    """What only the router of several replicas knows."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._deaths = Counter("shotstream_replica_deaths", "Replicas that died", registry=registry)
        self._moved = Counter("shotstream_films_moved", "Films that went on at another replica", registry=registry)
        self._ready = Gauge("shotstream_replicas_ready", "Replicas that make films", registry=registry)
        self._seats = Gauge("shotstream_seats", "Films that may be watched at once", registry=registry)
        self._taken = Gauge("shotstream_seats_taken", "Films that are watched", registry=registry)
        self._waiting = Gauge("shotstream_viewers_waiting", "Viewers who wait for a seat", registry=registry)

    def died(self, films: int) -> None:
        """A replica, and it had so many films."""
        self._deaths.inc()
        self._moved.inc(films)

    def page(self, pages: Mapping[str, str], *, ready: int, seats: int, taken: int, waiting: int) -> bytes:
        """The text Prometheus reads; ``pages``: that of every replica by name; how many replicas are ``ready``, films
        have a seat, or are ``taken`` seats, and viewers ``waiting``."""
        self._ready.set(ready)
        self._seats.set(seats)
        self._taken.set(taken)
        self._waiting.set(waiting)
        gathered = CollectorRegistry()
        gathered.register(_Labelled(pages))
        return generate_latest(self._registry) + generate_latest(gathered)


class _Labelled(Collector):
    """Every sample of ``pages`` with the label ``replica``."""

    def __init__(self, pages: Mapping[str, str]) -> None:
        self.pages = pages

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for name, metric in self._found():
            one = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                one.add_sample(sample.name, {**sample.labels, "replica": name}, sample.value)
        return families.values()

    def _found(self) -> Iterator[tuple[str, Metric]]:
        for name, page in self.pages.items():
            yield from ((name, metric) for metric in text_string_to_metric_families(page))
