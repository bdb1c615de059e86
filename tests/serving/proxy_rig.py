"""A reverse proxy, and a forwarded port: plain bytes between a browser and a studio, the head of each request changed
on the way."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass

MOST_HEAD = 1 << 16  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """What a proxy does to a request: the ``path`` it is under (blank: none), whether it takes that off, and whether
    it says the studio's own name instead of the one it was asked by."""

    path: str = ""
    takes_off: bool = True
    own_name: bool = False


class Proxy:
    """Listens on a free port of this machine from ``start`` to ``stop``, in a thread of its own."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.target = 0  # the studio's port, once there is one
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._ended())
        self._loop.close()

    async def _ended(self) -> None:
        self._server.close()
        left = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is let go

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}{self.manner.path}/"

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)  # the loop itself holds tasks weakly: one could be collected while it waits
        task.add_done_callback(self._tasks.discard)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            changed = self._changed(head)
            if changed is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                back.write(changed)
                await asyncio.gather(_passed(reader, back), _passed(there, writer))
            finally:
                back.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked has left, or the proxy ends
        finally:
            writer.close()

    def _changed(self, head: bytes) -> bytes | None:
        """The head of a request as the studio gets it, which ends its connection afterwards unless that is a socket's;
        None for what is beside the proxy's path."""
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, version = first.split(" ")
        manner = self.manner
        if not target.startswith(f"{manner.path}/"):
            return None
        if manner.takes_off:
            target = target.removeprefix(manner.path)
        if manner.own_name:
            lines = [f"Host: 127.0.0.1:{self.target}" if one.lower().startswith("host:") else one for one in lines]
        if not any(one.lower().startswith("upgrade:") for one in lines):
            lines = [one for one in lines if not one.lower().startswith("connection:")] + ["Connection: close"]
        return "\r\n".join([f"{method} {target} {version}", *lines, "", ""]).encode("latin-1")


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that comes, until no more does."""
    while piece := await reader.read(MOST_HEAD):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
