"""Replicas as processes of this machine: what runs in one, and how they are started.

A replica is a studio without page and login, which answers the front.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.media.script_writer import ChatModel
from shotstream.serving.access import Access
from shotstream.serving.app import make_studio
from shotstream.serving.listener import Places, file_limit, most_connections
from shotstream.serving.server import free_socket, listening_config
from shotstream.serving.studio import StudioEngine


class ReplicaSettings(Config):
    """What a replica is told on its standard input, one line of JSON. ``loading``: as for ``shotstream.load``;
    ``writer``: as for ``make_app``."""

    films: str
    token: str
    host: str = "127.0.0.1"
    disk_budget: int | None = None
    writer: ChatModel | None = None
    loading: dict[str, Any]


class TokenOnly:
    """ASGI middleware: only the front, which knows the token, is let in. It has looked at everything else."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] == "lifespan" or self.access.entry(Headers(scope=scope), "") == "yes"
        if known:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no_token"})
        else:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})


def serve_replica(settings: ReplicaSettings, load: Callable[[], StudioEngine]) -> None:
    """Serve until standard input ends: then the front has ended, and the films may be opened elsewhere.

    Says its address on standard output.
    """
    most = most_connections(file_limit())
    listening = free_socket(settings.host, 0, Places(most, most_of_client=most))  # its one client is the router
    app = make_studio(load, Path(settings.films), disk_budget=settings.disk_budget, writer=settings.writer)
    server = uvicorn.Server(listening_config(TokenOnly(app, Access(settings.token, time.monotonic))))
    threading.Thread(target=_end_with_input, daemon=True).start()
    listening.listen()
    sys.stdout.write(json.dumps({"url": f"http://{settings.host}:{listening.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listening])


def _end_with_input() -> None:
    """No time is taken to save: the journal has everything, and a take that is cut short here would be cut there."""
    sys.stdin.read()
    os._exit(1)


STARTS_WITHIN = 300.0  # seconds until a process says where it answers; the model is loaded later
PATIENCE = 30.0  # seconds a replica may take to finish its block and save
COMMAND = (sys.executable, "-c", "from shotstream.cli.main import run; run()", "replica")


class Replica(Protocol):
    """One replica. Its methods may block, so they are never called from an event loop."""

    @property
    def url(self) -> str: ...

    def alive(self) -> bool: ...

    def end(self) -> None:
        """Let it finish its block and save."""

    def kill(self) -> None:
        """End it at once, whatever it does: what it was making is made again from its seed, the same."""


Launcher = Callable[[int], Replica]  # the slot to fill, from 0


class ProcessReplica:
    """A replica in a process of this machine. It ends when this one does, since that closes its standard input."""

    def __init__(self, settings: ReplicaSettings, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the front, which ends its replicas in order
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(settings.model_dump_json() + "\n")
            self._process.stdin.flush()
            self.url: str = json.loads(self._first_line())["url"]
        except (OSError, ValueError) as fault:
            self.end()
            raise InputError("a replica of the studio did not start; what it said is above") from fault

    def _first_line(self) -> str:
        """What it says first. Raises OSError if it says nothing for too long."""
        stdout = self._process.stdout
        assert stdout is not None
        silence = threading.Timer(STARTS_WITHIN, self._process.kill)  # its output ends then
        silence.start()
        try:
            return stdout.readline()
        finally:
            silence.cancel()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


def process_launcher(settings: ReplicaSettings, replicas: int) -> Launcher:
    """Share this machine's cores out among ``replicas`` processes. With ``cuda``, each gets a GPU of its own."""
    threads = str(max(1, (os.cpu_count() or 1) // replicas))

    def launch(slot: int) -> Replica:
        environment = {"OMP_NUM_THREADS": threads}
        if settings.loading.get("device") == "cuda":
            environment["CUDA_VISIBLE_DEVICES"] = str(slot)
        return ProcessReplica(settings, environment)

    return launch
