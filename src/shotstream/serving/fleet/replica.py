"""One replica: a studio without page and login that a front asks. It answers to whoever has its token."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shotstream.core.config import Config
from shotstream.serving.access import Access
from shotstream.serving.app import make_studio
from shotstream.serving.server import free_socket, listening_config
from shotstream.serving.studio import StudioEngine


class ReplicaSettings(Config):
    """What a replica is told on its standard input, one line of JSON. ``loading``: as for ``shotstream.load``."""

    films: str
    token: str
    host: str = "127.0.0.1"
    disk_budget: int | None = None
    loading: dict[str, Any]


class Inner:
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
    """Serve until standard input ends: whoever started this has gone, and its films may go on elsewhere.

    Says its address on standard output.
    """
    listening = free_socket(settings.host, 0)
    desk_app = make_studio(load, Path(settings.films), disk_budget=settings.disk_budget)
    server = uvicorn.Server(listening_config(Inner(desk_app, Access(settings.token, time.monotonic))))
    threading.Thread(target=_end_with_input, daemon=True).start()
    listening.listen()
    sys.stdout.write(json.dumps({"url": f"http://{settings.host}:{listening.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listening])


def _end_with_input() -> None:
    """No time is taken to save: the journal has everything, and a take that is cut short here would be cut there."""
    sys.stdin.read()
    os._exit(1)
