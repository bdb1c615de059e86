"""What /metrics tells: Prometheus' own library counts, we say what."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from shotstream.serving.protocol import Notice

# Seconds, closest where it matters: the product's promise is a first frame within 2.5 s, a block within its own length.
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
__all__ = ["CONTENT_TYPE", "Metrics", "Occupied"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupied:
    """What the films of a studio hold right now. ``busy``: have something to make; ``disk_bytes``: of all films."""

    films: int
    busy: int
    queued: int
    cache_bytes: int
    disk_bytes: int


class Metrics:
    """Everything one studio counts, in a registry of its own. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"shotstream_{name}", said, labels, registry=registry)

        def gauge(name: str, said: str) -> Gauge:
            return Gauge(f"shotstream_{name}", said, registry=registry)

        def seconds(name: str, said: str) -> Histogram:
            return Histogram(f"shotstream_{name}_seconds", said, buckets=BUCKETS, registry=registry)

        self._frames = counter("frames", "Frames made")
        self._blocks = seconds("block", "From a block's beginning to its pictures, until they can be encoded")
        self._first = seconds("first_frame", "From a command to its shot's first picture, encoded")
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
        self._disk = gauge("disk_bytes", "Bytes of all films kept")

    def block(self, frames: int, seconds: float, first: float | None) -> None:
        """A block of so many frames took so long; ``first``: and its shot began so late after its command."""
        self._frames.inc(frames)
        self._blocks.observe(seconds)
        self._fps.set(frames / seconds if seconds else 0)
        if first is not None:
            self._first.observe(first)

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
        return generate_latest(self._registry)
