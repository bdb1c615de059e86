"""The replicas of a studio: started, watched, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from shotstream.core.errors import InputError
from shotstream.serving.fleet.placement import Placement
from shotstream.serving.fleet.processes import Launcher, Replica
from shotstream.serving.metrics import FleetMetrics

LOOK = 0.25  # seconds between two looks at every replica
PATIENCE = 30.0  # seconds for an answer; a film may be opened meanwhile
HEARTBEAT = 2.0  # seconds for an answer that needs nothing but to be alive
SILENT = 20.0  # seconds without one: it hangs, and is replaced
OK = 200
BUSY = 429  # there will be another look: it has too much to do, or whoever had the film is just ending
MOST_STARTS = 6  # of one slot in a row that never became ready
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Slot:
    """A place for a replica; ``name`` tells its replicas apart. ``starts``: since one was last ready."""

    index: int
    replica: Replica | None = None
    launching: asyncio.Future[Replica] | None = None
    generation: int = 0
    starts: int = 0

    @property
    def name(self) -> str:
        return f"{self.index}.{self.generation}"


@dataclass(slots=True)
class ReplicaPool:
    """``slots`` replicas made by ``launch``; ``token``: what they ask for. Lives in one event loop."""

    launch: Launcher
    slots: list[Slot]
    token: str
    placement: Placement
    metrics: FleetMetrics = field(default_factory=FleetMetrics)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    orphans: set[str] = field(default_factory=set)  # films whose replica died, and that go on nowhere yet
    _http: httpx.AsyncClient | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _adopting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._http = httpx.AsyncClient(trust_env=False, timeout=PATIENCE, headers=self.key, limits=httpx.Limits())
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in self.slots]

    async def stop(self) -> None:
        """End every replica; each finishes its block and saves."""
        tasks = [*self._tasks, *([self._adopting] if self._adopting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        launched = [slot.launching for slot in self.slots if slot.replica is None and slot.launching is not None]
        found = await asyncio.gather(*launched, return_exceptions=True)  # nothing that was started is left behind
        there = [slot.replica for slot in self.slots if slot.replica is not None]
        there += [replica for replica in found if not isinstance(replica, BaseException)]
        await asyncio.gather(*(asyncio.to_thread(replica.end) for replica in there))
        await self.http.aclose()

    @property
    def http(self) -> httpx.AsyncClient:
        assert self._http is not None
        return self._http

    @property
    def key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def hopeless(self) -> bool:
        """Has every slot given up?"""
        return all(task.done() for task in self._tasks)

    def url(self, name: str) -> str:
        """Where the replica ``name`` answers. Raises KeyError if it has gone."""
        found = {slot.name: slot.replica for slot in self.slots if slot.replica is not None}
        return found[name].url

    def metrics_page(self, pages: Mapping[str, str]) -> bytes:
        """The text Prometheus reads; ``pages``: that of every replica by name."""
        one, ready = self.placement, len(self.placement.replicas)
        return self.metrics.page(pages, ready=ready, seats=ready * one.seats, taken=one.taken(), waiting=one.waiting())

    async def metrics_of(self, name: str) -> str:
        """What the replica ``name`` tells; blank if it does not: it may have died just now, or hang."""
        try:
            return (await self.http.get(f"{self.url(name)}/metrics", timeout=HEARTBEAT)).text
        except (httpx.TransportError, KeyError):
            return ""

    def tell(self) -> None:
        """Seats may have become free: admit waiting viewers, and wake those who still wait."""
        self.placement.advance()
        self.changed.set()
        self.changed = asyncio.Event()

    async def _keep(self, slot: Slot) -> None:
        """Fill one slot, again and again; give up when nothing ever becomes ready in it."""
        while slot.starts < MOST_STARTS:
            slot.starts += 1
            slot.generation += 1
            try:
                slot.launching = asyncio.ensure_future(asyncio.to_thread(self.launch, slot.index))
                slot.replica = await asyncio.shield(slot.launching)
            except (InputError, OSError):
                _log.exception("replica %s does not start", slot.name)
                await asyncio.sleep(1)
                continue
            await self._watch(slot, slot.replica)
            await self._lost(slot)
        _log.error("slot %d is given up: no replica became ready in it", slot.index)

    async def _watch(self, slot: Slot, replica: Replica) -> None:
        """Until it is dead, or has been silent for so long that it might as well be."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while await asyncio.to_thread(replica.alive):
            joined = slot.name in self.placement.replicas
            status = await self._status(replica.url, "healthz" if joined else "readyz")
            heard = loop.time() if status is not None else heard
            if loop.time() - heard > SILENT:
                _log.warning("replica %s has not answered for %g s; it is replaced", slot.name, SILENT)
                return
            if status == OK and not joined:
                slot.starts = 0
                self.placement.join(slot.name)
                self.tell()
            if joined and self.orphans and self._adopting is None:
                self._adopting = asyncio.create_task(self._adopt())
                self._adopting.add_done_callback(self._adopted)
            await asyncio.sleep(LOOK)

    def _adopted(self, task: asyncio.Task[None]) -> None:
        self._adopting = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("films of a replica that died could not be taken on", exc_info=task.exception())

    async def _lost(self, slot: Slot) -> None:
        """Its films are free as soon as it is certain that it writes to none of them: it may only have been slow."""
        replica, slot.replica, slot.launching = slot.replica, None, None
        if replica is not None:
            await asyncio.to_thread(replica.kill)
        films = self.placement.lose(slot.name)
        self.metrics.died(len(films))
        self.orphans.update(films)
        _log.warning("replica %s has died; its %d films go on elsewhere", slot.name, len(films))
        self.tell()

    async def _adopt(self) -> None:
        """Open every orphan from its journal, so that it goes on whether anybody watches it or not."""
        for film in list(self.orphans):
            home = self.placement.home(film)
            if home is None:
                return
            try:
                answer = await self.http.get(f"{self.url(home)}/api/films/{film}")
            except (httpx.TransportError, KeyError):
                return  # its new home has died too; there will be another look
            if answer.status_code == 200:
                self.orphans.discard(film)
            elif answer.status_code < 500 and answer.status_code != BUSY:
                _log.warning("film %s cannot go on: %s", film, answer.text[:200])
                self.orphans.discard(film)

    async def _status(self, url: str, path: str) -> int | None:
        """What the replica at ``url`` answers there; None if it does not."""
        try:
            return (await self.http.get(f"{url}/{path}", timeout=HEARTBEAT)).status_code
        except httpx.TransportError:
            return None
