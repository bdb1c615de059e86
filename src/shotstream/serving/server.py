"""The web server around the application: a port that is free, a browser that is opened, a calm end."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from shotstream.core.errors import InputError
from shotstream.serving.protocol import MAX_MESSAGE

MOST_CONNECTIONS = 1024  # at once; more are told 503
UNSENT = 128 * 1024  # bytes that the system may hold back for one client; without a bound it holds seconds of film
IDLE = 60  # seconds a connection may be silent; a busy machine needs more than the usual five


def free_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``. Raises :class:`InputError` if another program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux and macOS; every connection has it from here
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    try:
        listening.bind((host, port))
    except OSError as fault:
        listening.close()
        raise InputError(f"--port {port}: cannot be used ({fault.strerror}); give another") from fault
    return listening


def listening_config(app: ASGIApp, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How the studio is served. Nothing is logged of a request. Raises :class:`InputError` for TLS files of no use."""
    if (certificate is None) != (key is None):
        raise InputError("--tls-certificate and --tls-key belong together; give both")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=4 * MAX_MESSAGE,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
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
