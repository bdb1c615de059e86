"""Clients that abuse a studio, from addresses of their own on loopback: silent connections, floods of requests, hostile
messages, viewers that never read, uploads that are refused."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

HALVES = (b"", b"GET / HT", b"POST /api/films HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{", b"\x16\x03\x01")
PATHS = ("/", "/api/films", "/api/films/{film}", "/api/films/000000000000", "/api/x/../films", "/nothing", "/metrics")
BODIES = (
    b"PK\x03\x04 no film",
    b"global_caption: a\nshots: []",
    b"x" * 60_000,
    b'{"global_caption": "a", "shots": [{}]}',
)
MESSAGES = ("{}", "nonsense", "[" * 5000, '{"type": "shoot"}', '{"type": "undo"}', "x" * 20_000)
MESSAGES += ('{"type": "extend", "blocks": 100}', '{"type": "move", "shot": 0, "to": 0}', '{"type": "pause"}')


@dataclass(slots=True)
class Abuse:
    """So many of each in so many ``seconds``, against the studio at ``port`` and its film ``film``."""

    port: int
    film: str
    seconds: float
    connections: int
    requests: int
    messages: int
    done: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def run(self) -> None:
        await asyncio.gather(
            self._each("connections", self.connections, self._silent),
            self._flood(),
            *(self._hostile(number) for number in range(8)),
            *(self._deaf(number) for number in range(4)),
        )

    async def _each(self, name: str, count: int, act: Callable[[], Awaitable[None]]) -> None:
        """Act ``count`` times, evenly; what one waits for does not hold up the next."""
        loop = asyncio.get_running_loop()
        began, tasks = loop.time(), set()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number * self.seconds / count - loop.time()))
            task = asyncio.ensure_future(act())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            self.done[name] += 1
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _silent(self) -> None:
        """Connect, send half of something, and stay until sent away."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=("127.0.0.2", 0))
            writer.write(self.dice.choice(HALVES))
            await asyncio.wait_for(reader.read(), 40)
            writer.close()
        except (OSError, TimeoutError):
            self.done["cut off"] += 1

    async def _flood(self) -> None:
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.3", limits=httpx.Limits(max_connections=40))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=60
        ) as client:

            async def ask() -> None:
                try:
                    if self.dice.random() < 0.1:
                        answer = await client.post("/api/open", content=self.dice.choice(BODIES))
                    else:
                        answer = await client.get(self.dice.choice(PATHS).format(film=self.film))
                    self.done[f"answer {answer.status_code}"] += 1
                except httpx.TransportError:
                    self.done["cut off"] += 1

            await self._each("requests", self.requests, ask)

    async def _hostile(self, number: int) -> None:
        """Messages of every kind, each tenth a good one; sent away, it comes back."""
        loop = asyncio.get_running_loop()
        began, share = loop.time(), self.messages // 8
        sent = 0
        while sent < share and loop.time() - began < 1.5 * self.seconds:
            try:
                async with connect(self._live, local_addr=(f"127.0.1.{number + 1}", 0), proxy=None) as line:
                    await line.send(json.dumps({"type": "hello", "version": 1, "film": self.film}))
                    reading = asyncio.ensure_future(_read_all(line))
                    while sent < share:
                        await asyncio.sleep(max(0.0, began + sent * self.seconds / share - loop.time()))
                        await line.send(self.dice.choice(MESSAGES))
                        sent += 1
                        self.done["messages"] += 1
                    reading.cancel()
            except (WebSocketException, OSError):
                self.done["sent away"] += 1
                await asyncio.sleep(0.1)

    async def _deaf(self, number: int) -> None:
        """A viewer that reads nothing after the beginning."""
        try:
            async with connect(
                self._live, local_addr=(f"127.0.2.{number + 1}", 0), proxy=None, max_queue=1, close_timeout=1
            ) as line:
                await line.send(json.dumps({"type": "hello", "version": 1, "film": self.film}))
                await asyncio.sleep(self.seconds)
        except (WebSocketException, OSError):
            self.done["sent away"] += 1

    @property
    def _live(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"


async def _read_all(line: object) -> None:
    try:
        async for _ in line:  # type: ignore[attr-defined]
            pass
    except WebSocketException:
        return
