"""The web server around the application: its socket and settings, a path it is reached under, a log of limited size."""

from __future__ import annotations

import errno
import logging
import socket
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from shotstream.core.errors import InputError
from shotstream.serving.listener import DeadlineProtocol, Listener, Places, file_limit, most_connections
from shotstream.serving.protocol import MAX_MESSAGE

IDLE = 60  # seconds a connection may be silent; a busy machine needs more than the usual five
MOST_LOGGED = 10  # a minute, of one line of code
MINUTE = 60.0
LOUD = ("asyncio", "uvicorn", "uvicorn.error", "websockets.server")  # loggers that speak of single connections


def free_socket(host: str, port: int, places: Places | None = None) -> Listener:
    """A socket that listens on ``host`` and ``port``. Raises :class:`InputError` if another program does.

    places: for how many connections; None: as many as the process' file limit allows, which is raised if it may be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = Listener(family, Places(most_connections(file_limit())) if places is None else places)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as fault:
        listening.close()
        if isinstance(fault, socket.gaierror) or fault.errno == errno.EADDRNOTAVAIL:
            said = f"--host {host}: is no address of this machine ({fault.strerror}); 0.0.0.0 answers on all of them"
        else:
            said = f"--port {port}: cannot be used ({fault.strerror}); give another"
        raise InputError(said) from fault
    return listening


def listening_config(app: ASGIApp, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How the studio is served: with deadlines, and a log nobody can flood; nothing is logged of a request.

    Raises :class:`InputError` for TLS files of no use.
    """
    if (certificate is None) != (key is None):
        raise InputError("--tls-certificate and --tls-key belong together; give both")
    config = uvicorn.Config(
        app,
        loop="asyncio",  # its listening socket is ours
        http=DeadlineProtocol,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=4 * MAX_MESSAGE,
        server_header=False,
        timeout_keep_alive=IDLE,
        ws_ping_timeout=IDLE,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except OSError as fault:  # ssl.SSLError is one
        said = fault.strerror or fault
        raise InputError(f"{certificate}, {key}: no certificate and key in PEM that fit together ({said})") from fault
    limit_logs()
    return config


class Server(uvicorn.Server):
    """Opens ``page`` in a browser once it answers."""

    def __init__(self, config: uvicorn.Config, page: str | None) -> None:
        super().__init__(config)
        self._page = page

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._page is not None:
            webbrowser.open(self._page)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """The first Ctrl-C is enough: viewers that are still connected do not hold up the end."""
        self.config.timeout_graceful_shutdown = 2
        super().handle_exit(sig, frame)


class LogLimit(logging.Filter):
    """Keeps back what is said too often, and says how often that was when it is said again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str, int], tuple[float, int]] = {}  # since when, how often

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.name, record.pathname, record.lineno), self._clock()
        since, count = self._said.get(place, (now, 0))
        if now - since >= MINUTE:
            if count > MOST_LOGGED:
                record.msg = f"{record.msg} (and {count - MOST_LOGGED} more like it, not written down)"
            since, count = now, 0
        self._said[place] = since, count + 1
        return count < MOST_LOGGED


def limit_logs() -> None:
    """Limit whatever a stranger can make the server say. Doing it again changes nothing."""
    for name in LOUD:
        logger = logging.getLogger(name)
        if not any(isinstance(one, LogLimit) for one in logger.filters):
            logger.addFilter(LogLimit())
    last = logging.lastResort  # where our own loggers speak
    if last is not None and not any(isinstance(one, LogLimit) for one in last.filters):
        last.addFilter(LogLimit())


@dataclass(frozen=True, slots=True)
class UnderPath:
    """ASGI middleware. ``path`` begins with a slash and ends without one."""

    app: ASGIApp
    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope.get("path", "")
        if scope["type"] == "http" and asked == self.path:  # what the page asks for is beside it: it needs its slash
            return await RedirectResponse(f"{self.path}/", status_code=308)(scope, receive, send)
        if asked.startswith(f"{self.path}/"):
            raw = scope.get("raw_path")
            plain = None if raw is None else raw.removeprefix(self.path.encode())
            scope = {**scope, "path": asked.removeprefix(self.path), "raw_path": plain}
        await self.app(scope, receive, send)


def checked_path(path: str) -> str:
    """``path`` without a slash at its end; blank for none. Raises :class:`InputError`."""
    path = path.rstrip("/")
    if path and (not path.startswith("/") or any(sign in path for sign in "?#% \\") or "//" in path or ".." in path):
        raise InputError(f"--root-path {path}: give a path such as /studio")
    return path


def under_path(app: ASGIApp, path: str) -> ASGIApp:
    """``app``, reached under ``path``; the app itself where that is blank. Raises as :func:`checked_path` does."""
    path = checked_path(path)
    return UnderPath(app, path) if path else app
