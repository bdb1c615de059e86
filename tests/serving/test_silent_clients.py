"""Clients that connect and say nothing, or half of something: they are closed, and keep out nobody who asks."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from studio_rig import Painter, Server, until

from shotstream.serving import listener
from shotstream.serving.listener import RESERVED, Places, most_connections
from shotstream.serving.server import MINUTE, MOST_LOGGED, LogLimit, free_socket

FEW = 12


class SmallServer(Server):
    """A studio with few places."""

    def listening(self) -> socket.socket:
        self.places = Places(FEW, most_of_client=4)
        return free_socket("127.0.0.1", self.port, self.places)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmallServer]:
    server = SmallServer(Painter, tmp_path / "films")
    with httpx.Client(base_url=server.url) as client:
        until(lambda: client.get("/readyz").status_code == 200)
    yield server
    server.stop()


def connected(server: Server, sent: bytes = b"") -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    line.sendall(sent)
    return line


def ended(line: socket.socket) -> bytes:
    """What comes until the other side closes."""
    heard = b""
    try:
        while piece := line.recv(1 << 16):
            heard += piece
    except ConnectionError:
        pass
    return heard


def test_silent_clients_keep_nobody_out(server: SmallServer) -> None:
    with ExitStack() as lines:
        silent = [lines.enter_context(connected(server)) for _ in range(5 * FEW)]
        for _ in range(3):
            assert httpx.get(f"{server.url}healthz").status_code == 200  # a connection of its own each time
        assert len(server.places) <= FEW
        assert ended(silent[0]) == b""  # the first gave up its place


def test_who_is_at_work_is_not_closed_for_others(server: SmallServer) -> None:
    with httpx.Client(base_url=server.url) as client, ExitStack() as lines:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        request = f"GET /api/films/{film}/stream HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        watching = [lines.enter_context(connected(server, request)) for _ in range(FEW)]
        assert all(line.recv(12) == b"HTTP/1.1 200" for line in watching)
        assert ended(lines.enter_context(connected(server))).startswith(b"HTTP/1.1 503")
    until(lambda: len(server.places) < FEW)


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 408"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ", b"HTTP/1.1 408"),
        (b"POST /api/films HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-length: 99\r\n\r\n{", b""),
        (b"POST /api/open HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", b""),
    ],
)
def test_half_a_request_has_a_deadline(server: SmallServer, monkeypatch, sent: bytes, heard: bytes) -> None:
    monkeypatch.setattr(listener, "HEADER", 0.3)
    monkeypatch.setattr(listener, "BODY", 0.3)
    with connected(server, sent.replace(b"%d", str(server.port).encode())) as line:
        assert ended(line).startswith(heard)


def test_a_body_that_comes_fast_enough_has_the_time_it_takes(server: SmallServer, monkeypatch) -> None:
    monkeypatch.setattr(listener, "BODY", 0.2)
    monkeypatch.setattr(listener, "SLOWEST", 10)
    body = b'{"global_caption": "a fox"}'
    head = f"POST /api/films HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with connected(server, head.encode() + body[:10]) as line:
        time.sleep(0.6)
        line.sendall(body[10:])
        assert ended(line).startswith(b"HTTP/1.1 201")


def test_a_client_elsewhere_has_its_share() -> None:
    places, ends = Places(10, most_of_client=2), []

    class One:
        def __init__(self, client: str, number: int) -> None:
            self.client, self.number, self.places = client, number, places

        def shutdown(self, how: int) -> None:
            ends.append(self.number)

    for number in range(2):
        assert places.make_room("192.0.2.1")
        places.take(One("192.0.2.1", number))  # type: ignore[arg-type]
    assert places.make_room("192.0.2.1") and ends == [0]  # its own idle one goes
    places.take(busy := One("192.0.2.1", 2))  # type: ignore[arg-type]
    for number in (1, 2):
        places.mark(places._open[number], idle=False)
    assert not places.make_room("192.0.2.1") and places.make_room("192.0.2.2")
    places.mark(busy, idle=True)  # type: ignore[arg-type]
    assert places.make_room("192.0.2.1") and ends == [0, 2]


def test_places_leave_room_for_files() -> None:
    for files in (64, 256, 1024, 20_000):
        assert 8 <= most_connections(files) <= max(8, (files - min(RESERVED, files // 2)) // 3)


def test_the_log_cannot_be_flooded(caplog) -> None:
    now = [0.0]
    limit, logger = LogLimit(lambda: now[0]), logging.getLogger("test.flood")
    logger.addFilter(limit)
    try:
        with caplog.at_level(logging.WARNING):
            for number in range(1000):
                logger.warning("bad request %d", number)
                if number == 998:
                    now[0] = MINUTE
    finally:
        logger.removeFilter(limit)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == MOST_LOGGED + 1 and re.search(r"bad request 999 \(and 989 more", said[-1])
