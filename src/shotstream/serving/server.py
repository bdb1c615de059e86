"""The web server around the application: a port that is free, a browser that is opened, a calm end."""

from __future__ import annotations

import socket
import webbrowser
from typing import Any

import uvicorn

from shotstream.core.errors import InputError


def free_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``. Raises :class:`InputError` if another program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as fault:
        listening.close()
        raise InputError(f"--port {port}: cannot be used ({fault.strerror}); give another") from fault
    return listening


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
