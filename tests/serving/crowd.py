"""A crowd at a studio that runs: viewers of a few films on real live sockets, some of whom direct; what they saw."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

from crowd_report import Lived
from websockets.asyncio.client import ClientConnection, connect

from shotstream.serving.client import StudioClient

CAPTION, SHOTS = "a red fox in the forest", ("wide shot. it walks", "it sits", "it sleeps")
AHEAD = 3  # shots a director keeps planned, so that every film always has something to make
EVERY = 2.0  # seconds between two things that a viewer asks
PATIENCE = 300.0  # seconds: a machine may be busy with other things
LINE: dict[str, Any] = {"proxy": None, "max_size": None, "open_timeout": PATIENCE, "ping_interval": None}  # a browser's


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """``viewers`` of ``films`` for ``seconds``, and until ``frames`` are made; what happens in the first ``warm_up``
    seconds, or before every film has a frame, is not counted."""

    viewers: int
    films: int
    warm_up: float
    seconds: float
    frames: int = 0


class Viewer:
    """One live socket on ``film``. A ``director`` shoots one shot after the other."""

    def __init__(self, line: ClientConnection, film: str, *, director: bool) -> None:
        self.line, self.film, self.director = line, film, director
        self.view: dict[str, Any] = {}  # the film as it was last told
        self.accepted: set[int] = set()  # takes that were promised
        self.told: list[str] = []  # notices: something went wrong
        self._refs = count(1)
        self._asked: dict[int, tuple[str, float]] = {}
        self.begin_counting()

    def begin_counting(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)  # seconds from a question to its answer
        self.pictures = 0

    async def listen(self) -> None:
        async for message in self.line:
            if isinstance(message, bytes):
                self.pictures += 1
            else:
                self._hear(json.loads(message))

    async def enter(self) -> None:
        await self._say("enter", type="hello", version=1, film=self.film)
        await happens(lambda: self.view)

    async def act(self, delay: float) -> None:
        await asyncio.sleep(delay)
        for shot in count():
            if self.director and len(self.view["queue"]) < AHEAD and not self._waits_for("shoot"):
                await self._say("shoot", type="shoot", caption=SHOTS[shot % len(SHOTS)])
            made = [take["id"] for take in self.takes() if take["state"] == "finished"]
            if made and not self._waits_for("command"):
                await self._say("command", type="position", take=made[-1], frame=0)
            if not self._waits_for("refusal"):  # one that the event loop gives by itself: the film is not asked
                await self._say("refusal", type="hello", version=1, film=self.film)
            await asyncio.sleep(EVERY)

    def takes(self) -> list[dict[str, Any]]:
        return [take for shot in self.view["shots"] for take in shot["takes"]]

    def frames(self) -> int:
        return sum(take["frames"] for take in self.takes())

    def answered(self) -> bool:
        return not self._asked

    def _waits_for(self, kind: str) -> bool:
        return any(asked == kind for asked, _ in self._asked.values())

    async def _say(self, kind: str, **message: object) -> None:
        ref = next(self._refs)
        self._asked[ref] = kind, time.perf_counter()
        await self.line.send(json.dumps({**message, "ref": ref}))

    def _hear(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "welcome":
                self.view = said["film"]
                self._asked.clear()
            case "film":
                self.view = said
            case "notice":
                self.told.append(said["text"])
            case "applied" | "refused":
                self._hear_answer(said)

    def _hear_answer(self, said: dict[str, Any]) -> None:
        kind, since = self._asked.pop(said["ref"])
        self.took[kind].append(time.perf_counter() - since)
        assert said["type"] == ("refused" if kind == "refusal" else "applied"), said
        if kind == "shoot":
            self.accepted.add(said["take"])


async def happens(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.05)


def attend(crowd: Crowd, url: str, resident: Callable[[], int]) -> Lived:
    """Begin the films and live with them. ``resident``: bytes the studio's process holds.

    A viewer that is sent away, or refused what it may have, is an error.
    """
    with StudioClient(url, timeout=PATIENCE) as studio:
        films = [studio.begin(CAPTION, seed=seed).id for seed in range(crowd.films)]
    return asyncio.run(_attend(crowd, url, films, resident))


async def _attend(crowd: Crowd, url: str, films: list[str], resident: Callable[[], int]) -> Lived:
    address = f"{url.replace('http', 'ws')}/ws"
    async with AsyncExitStack() as lines:
        viewers = []
        for number in range(crowd.viewers):
            line = await lines.enter_async_context(connect(address, **LINE))
            viewers.append(Viewer(line, films[number % crowd.films], director=number < crowd.films))
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(one.listen()) for one in viewers]
            await asyncio.gather(*(one.enter() for one in viewers))
            lived = await _live(crowd, viewers, resident)
            for task in listening:
                task.cancel()
    return lived


async def _live(crowd: Crowd, viewers: list[Viewer], resident: Callable[[], int]) -> Lived:
    directors = viewers[: crowd.films]
    held: list[int] = []
    async with asyncio.TaskGroup() as group:
        acting = [group.create_task(one.act(EVERY * index / crowd.viewers)) for index, one in enumerate(viewers)]
        acting.append(group.create_task(_sample(resident, held)))
        await asyncio.sleep(crowd.warm_up)
        await happens(lambda: all(one.frames() for one in directors))
        before, held_warm, start = [one.frames() for one in directors], list(held), time.perf_counter()
        for one in viewers:
            one.begin_counting()
        await asyncio.sleep(crowd.seconds - crowd.warm_up)
        await happens(lambda: sum(one.frames() for one in directors) - sum(before) >= crowd.frames)
        seconds = time.perf_counter() - start
        made = {one.film: one.frames() - earlier for one, earlier in zip(directors, before, strict=True)}
        for task in acting:
            task.cancel()
    await happens(lambda: all(one.answered() for one in viewers))
    return Lived(
        seconds=seconds,
        frames=made,
        pictures=[one.pictures for one in viewers],
        took={kind: [took for one in viewers for took in one.took[kind]] for kind in ("command", "shoot", "refusal")},
        held_warm=held_warm,
        held=held[len(held_warm) :],
        accepted={one.film: one.accepted for one in directors},
        finished={
            one.film: {take["id"]: take["frames"] for take in one.takes() if take["state"] == "finished"}
            for one in directors
        },
        told=[text for one in viewers for text in one.told],
    )


async def _sample(resident: Callable[[], int], held: list[int]) -> None:
    while True:
        held.append(resident())
        await asyncio.sleep(1)
