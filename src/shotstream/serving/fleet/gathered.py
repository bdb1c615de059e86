"""One /metrics for a studio of several replicas: the front's own, and each replica's under its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from shotstream.serving.fleet.placement import Placement


class FleetMetrics:
    """What only the front knows."""

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

    def page(self, placement: Placement, pages: Mapping[str, str]) -> bytes:
        """The text Prometheus reads; ``pages``: that of every replica by name."""
        self._ready.set(len(placement.replicas))
        self._seats.set(len(placement.replicas) * placement.seats)
        self._taken.set(placement.taken())
        self._waiting.set(placement.waiting())
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
