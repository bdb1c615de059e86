"""A viewer on a real socket that reads nothing for a while: what waits for it is bounded, others are not held up, and
afterwards it sees what is current. Frames it did not get are counted."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from studio_rig import Painter, Server, until
from websockets.sync.client import ClientConnection, connect

from shotstream.core.geometry import Geometry
from shotstream.serving.broadcaster import MOST_PICTURES, MOST_WAITING, Broadcaster, Outbox
from shotstream.serving.frames import unpack
from shotstream.serving.listener import UNSENT
from shotstream.serving.protocol import Accepted, FilmView, Meters

GEOMETRY = Geometry(width=512, height=288, spatial=8, latent_channels=4, default_blocks=2)  # MP4 for who can
ASLEEP = 6.0  # seconds
SHOTS, FRAMES = 3, 3 * 81  # 15 seconds of film
SMALL = 16 * 1024  # bytes the slow viewer's own system takes


class NoisePainter(Painter):
    """Frames that no codec makes small."""

    def __init__(self) -> None:
        super().__init__(GEOMETRY)
        self.random = np.random.default_rng(7)

    def painted(self, prompt: str, first: int, frames: np.ndarray) -> np.ndarray:
        coarse = self.random.integers(0, 256, (len(frames), GEOMETRY.height // 4, GEOMETRY.width // 4, 3), np.uint8)
        return coarse.repeat(4, 1).repeat(4, 2)


class Viewer:
    """Reads until the film is made; ``seen``: (frame of the film, frames, bytes), in the order in which they came."""

    def __init__(self, line: ClientConnection) -> None:
        self.line = line
        self.seen: list[tuple[int, int, int]] = []
        self.takes: list[int] = []
        self.meters: dict[str, Any] = {}

    def read(self) -> None:
        made = False
        while not made or self.meters["dropped"] + self.frames < FRAMES:
            self.next()
            made = made or self.done

    done = False

    def next(self) -> None:
        message = self.line.recv(120)
        if isinstance(message, str):
            heard = json.loads(message)
            if heard["type"] == "meters":
                self.meters = heard
            elif heard["type"] == "film":
                self.takes = [shot["takes"][0]["id"] for shot in heard["shots"]]
                self.done = sum(shot["takes"][0]["frames"] for shot in heard["shots"]) == FRAMES
            return
        for one in unpack(message):
            self.seen.append((81 * self.takes.index(one.take) + one.frame, one.frames, len(one.data)))

    @property
    def frames(self) -> int:
        return sum(frames for _, frames, _ in self.seen)


@contextmanager
def watching(server: Server, film: str, kind: str, **options: Any) -> Iterator[Viewer]:
    url = server.url.replace("http", "ws")
    with connect(f"{url}ws", compression=None, proxy=None, close_timeout=1, **options) as line:
        line.send(json.dumps({"type": "hello", "version": 1, "film": film, "pictures": ["jpeg", kind]}))
        while (heard := json.loads(line.recv(120)))["type"] != "welcome":
            pass
        assert heard["pictures"]["kind"] == kind
        yield Viewer(line)


def narrow(port: int) -> socket.socket:
    """A socket whose system takes little for it."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    line.connect(("127.0.0.1", port))
    return line


@pytest.fixture
def outboxes(monkeypatch) -> list[Outbox]:
    """Every outbox that joins."""
    found: list[Outbox] = []
    join = Broadcaster.join

    def noted(broadcaster: Broadcaster, film: str, outbox: Outbox) -> None:
        found.append(outbox)
        join(broadcaster, film, outbox)

    monkeypatch.setattr(Broadcaster, "join", noted)
    return found


@pytest.mark.parametrize("kind", ["jpeg", "mp4"])
def test_who_does_not_read_misses_frames_and_nobody_else_does(
    server_of: Callable[..., Server], kind: str, outboxes: list[Outbox]
) -> None:
    server = server_of(NoisePainter)
    with httpx.Client(base_url=server.url, timeout=120) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        with (
            watching(server, film, kind) as quick,
            watching(server, film, kind, sock=narrow(server.port), max_queue=1) as slow,
        ):
            reader = threading.Thread(target=quick.read)
            reader.start()
            for _ in range(SHOTS):
                client.post(f"/api/films/{film}/shots", json={"caption": "it walks", "seconds": 5.06})
            most = 0
            end = time.monotonic() + ASLEEP
            while time.monotonic() < end:
                most = max(most, *(one.pictures for one in outboxes))
                time.sleep(0.1)
            current = quick.seen[-1][0]
            slow.read()
            reader.join(120)
            assert not reader.is_alive()
        assert 0 < most <= MOST_PICTURES
        for viewer in (quick, slow):
            assert viewer.seen == sorted(viewer.seen)  # never older ones
            assert viewer.frames + viewer.meters["dropped"] == FRAMES  # every frame came, or is counted
        assert slow.meters["dropped"] > quick.meters["dropped"]
        stale = [one for one in slow.seen if one[0] < current]
        assert sum(size for _, _, size in stale[:-1]) < 4 * UNSENT  # what was on its way when it fell asleep
        assert slow.seen[-1][0] > current and len(slow.seen) > len(stale)
        metrics = client.get("/metrics").text
        dropped = slow.meters["dropped"] + quick.meters["dropped"]
        assert f"shotstream_dropped_frames_total {float(dropped)}" in metrics


def test_what_waits_for_who_does_not_read_is_one_film_and_some_short_texts() -> None:
    outbox = Outbox()
    film = FilmView.model_construct(id="0" * 12)
    for number in range(10_000):
        assert outbox.put(film.model_copy(update={"seed": number})) and outbox.put(Meters(queue=number))
        if number % 1000 == 0:
            assert outbox.put(Accepted(ref=number))

    async def read() -> list[object]:
        return [await outbox.get() for _ in range(12)]

    first, second, *rest = asyncio.run(read())
    assert (first.seed, second.queue) == (9999, 9999) and [one.ref for one in rest] == list(range(0, 10_000, 1000))
    assert outbox.empty() and not outbox.overrun.is_set()
    for number in range(MOST_WAITING):
        assert outbox.put(Accepted(ref=number))
    assert not outbox.put(Accepted(ref=0)) and outbox.overrun.is_set()
