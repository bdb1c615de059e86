"""A model that takes its time over a block: who waits for it is not sent away, and the studio can still end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio_rig import Painter, Server, until
from websockets.sync.client import connect

from shotstream.serving.broadcaster import Broadcaster
from shotstream.serving.client import StudioClient
from shotstream.serving.client_messages import Shoot
from shotstream.serving.command_handlers import carry_out
from shotstream.serving.library import Library
from shotstream.serving.worker import Worker


def read(message: str | bytes) -> dict[str, Any]:
    return {} if isinstance(message, bytes) else json.loads(message)


def test_keep_alives_are_answered_while_commands_wait(server_of: Callable[..., Server], painter: Painter) -> None:
    server = server_of(lambda: painter)
    with StudioClient(server.url) as studio:
        studio.ready()
        film = studio.begin("a fox").id
    with connect(server.url.replace("http", "ws") + "ws", proxy=None) as line:
        line.send(json.dumps({"type": "hello", "version": 1, "film": film}))
        until(lambda: read(line.recv(30))["type"] == "welcome")
        painter.gate.clear()
        for ref in range(1, 9):
            line.send(json.dumps({"type": "shoot", "caption": "it walks", "seconds": 0.6, "ref": ref}))
        until(lambda: read(line.recv(30)).get("ref") == 1)  # its block waits for the gate, all other commands for it
        answered = line.ping().wait(15)
        painter.gate.set()
        assert answered
        for ref in range(2, 9):
            until(lambda ref=ref: read(line.recv(30)).get("ref") == ref)


def test_a_command_nobody_waits_for_any_more_does_not_hold_up_the_end(tmp_path: Path, painter: Painter) -> None:
    loads: list[Painter] = []

    def load() -> Painter:
        loads.append(painter)
        return painter

    worker = Worker(load, Library(tmp_path), Broadcaster(time.monotonic), time.monotonic, lambda model: None)
    worker.start()
    until(lambda: worker.model.state == "ready")
    session = worker.submit(lambda studio: studio.create("a fox", 7)).result(60)
    painter.gate.clear()
    worker.submit(lambda studio: carry_out(session, Shoot(caption="it walks", seconds=0.6))).result(60)
    until(lambda: session.film.running is not None)
    given_up = worker.submit(lambda studio: session.view())
    assert given_up.cancel()
    ending = threading.Thread(target=worker.stop)
    ending.start()
    painter.gate.set()
    ending.join(60)
    assert not worker.alive and len(loads) == 1
