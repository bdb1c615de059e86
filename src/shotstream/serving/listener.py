"""The listening socket: how many connections there may be, which are closed when they are too many or too slow.

A connection is *idle* while it waits for a request: it has sent nothing yet, or half a header, or is kept alive. When
all places are taken the one that has been idle longest is closed, so that silent clients never keep out one that asks.
Requests have deadlines, as clients may be slow on purpose.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 1024  # in all
MOST_OF_CLIENT = 256  # of one address elsewhere; a proxy on this machine may need them all
RESERVED = 256  # files kept for films, the model and the journal
FILES_PER_CONNECTION = 3  # one that is passed on to a replica has another socket there, and may wait for a file
WANTED_FILES = RESERVED + FILES_PER_CONNECTION * MOST_CONNECTIONS
UNSENT = 128 * 1024  # bytes that the system may hold back for one client; without a bound it holds seconds of film
UNREAD = 120_000  # milliseconds a client may leave unread what was sent to it, where the system can tell (Linux)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n"


def file_limit() -> int:
    """How many files this process may have open; raised to what it needs, where that is allowed."""
    try:
        import resource
    except ImportError:  # Windows has no such limit worth the name
        return WANTED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def most_connections(files: int) -> int:
    """How many connections leave room for everything else, with so many ``files``."""
    return max(8, min(MOST_CONNECTIONS, (files - min(RESERVED, files // 2)) // FILES_PER_CONNECTION))


class Places:
    """The connections of one listening socket, by address and by how long they have been idle."""

    def __init__(self, most: int, most_of_client: int = MOST_OF_CLIENT) -> None:
        self.most, self.most_of_client = most, most_of_client
        self._open: dict[int, AcceptedSocket] = {}
        self._idle: OrderedDict[int, AcceptedSocket] = OrderedDict()  # the longest idle first
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self, client: str) -> bool:
        """Is there a place for another connection of ``client``? Somebody idle may have to give up theirs."""
        if self._of[client] >= self.most_of_client and not _is_local(client):
            return self._close_idle(client)
        return len(self._open) < self.most or self._close_idle(None)

    def take(self, one: AcceptedSocket) -> None:
        self._open[one.number] = self._idle[one.number] = one
        self._of[one.client] += 1

    def leave(self, one: AcceptedSocket) -> None:
        self._idle.pop(one.number, None)
        if self._open.pop(one.number, None) is not None:
            self._of[one.client] -= 1
            self._of += Counter()  # who has none is forgotten

    def mark(self, one: AcceptedSocket, *, idle: bool) -> None:
        """This connection waits for a request, or is at one."""
        if not idle:
            self._idle.pop(one.number, None)
        elif one.number in self._open:
            self._idle.setdefault(one.number, one)

    def _close_idle(self, client: str | None) -> bool:
        """Close the longest idle connection, of ``client`` if one is named; False: there is none."""
        found = next((one for one in self._idle.values() if client in (None, one.client)), None)
        if found is None:
            return False
        self.leave(found)
        with suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)  # whoever reads from it sees its end and closes it
        return True


class AcceptedSocket(socket.socket):
    """A connection that gives back its place when it is closed."""

    known: ClassVar[dict[int, AcceptedSocket]] = {}  # by file number
    places: Places
    client: str
    number: int

    def close(self) -> None:
        self.places.leave(self)
        self.known.pop(self.number, None)
        super().close()


class Listener(socket.socket):
    """Accepts no more than there are places for; the others are told 503 and closed. It never runs out of files, for
    which an event loop has no answer but to log it thousands of times a second."""

    def __init__(self, family: int, places: Places) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.places = places
        self._spare = os.open(os.devnull, os.O_RDONLY)  # given up to accept, and refuse, one when no file is left

    def accept(self) -> tuple[socket.socket, Any]:
        """As of any socket; BlockingIOError when nobody waits who can be let in."""
        while True:
            try:
                plain, address = super().accept()
            except BlockingIOError:
                raise
            except OSError:
                self._refuse_one()
                raise BlockingIOError from None
            client = str(address[0])
            if not self.places.make_room(client):
                _refuse(plain)
                continue
            one = AcceptedSocket(fileno=plain.detach())
            one.places, one.client, one.number = self.places, client, one.fileno()
            self.places.take(one)
            AcceptedSocket.known[one.number] = one
            _bound(one)
            return one, address

    def close(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        super().close()

    def _refuse_one(self) -> None:
        """No file is left: send one away with the spare one, so that the system does not announce it for ever."""
        os.close(self._spare)
        with suppress(OSError):
            super().accept()[0].close()
        self._spare = os.open(os.devnull, os.O_RDONLY)


def mark(transport: Any, *, idle: bool) -> None:
    """The connection behind ``transport`` waits for a request, or is at one."""
    found = transport.get_extra_info("socket")
    one = None if found is None else AcceptedSocket.known.get(found.fileno())
    if one is not None:
        one.places.mark(one, idle=idle)


def _bound(one: socket.socket) -> None:
    """Bound what the system keeps for a client that does not read."""
    with suppress(OSError):
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux and macOS
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)


def _refuse(one: socket.socket) -> None:
    with suppress(OSError), one:
        one.setblocking(False)
        one.send(BUSY)


def _is_local(client: str) -> bool:
    return client.startswith(("127.", "::1", "::ffff:127."))


HEADER = 15.0  # seconds, from the connection or the first byte of a further request
BODY = 20.0  # seconds a body has in any case
SLOWEST = 16 * 1024  # bytes a second a body has to come with beyond that, while we read it
STREAM = "/stream"  # how the paths of live pictures end
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class DeadlineProtocol(H11Protocol):
    """uvicorn's, for clients that may be silent. A request that has come whole takes as long as it takes."""

    _timer: asyncio.TimerHandle | None = None
    _phase: object = None  # whose deadline runs
    _upgraded = False
    _began = 0.0
    _received = 0  # bytes since then
    _latest = 0  # bytes that came last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._wait(h11.IDLE, HEADER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._latest = len(data)
        self._received += self._latest
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True
        self._rest()
        mark(self.transport, idle=False)
        super().handle_websocket_upgrade(event)

    def shutdown(self) -> None:
        """The studio ends: what would never end by itself is ended."""
        if self.cycle is not None and not self.cycle.response_complete and self.scope["path"].endswith(STREAM):
            self.transport.close()
        else:
            super().shutdown()

    def _look(self) -> None:
        """Let the deadline run that goes with what is awaited."""
        state = self.conn.their_state
        if self._upgraded or self.transport.is_closing():
            return
        mark(self.transport, idle=state is h11.IDLE)
        if state is h11.IDLE and self.conn.trailing_data[0]:
            self._wait(state, HEADER)
        elif state is h11.SEND_BODY:
            self._wait(state, BODY)
        else:
            self._rest()

    def _wait(self, phase: object, seconds: float) -> None:
        """End the connection in so many seconds, unless that is awaited already."""
        if self._phase is not phase:
            self._rest()
            self._phase, self._began, self._received = phase, self.loop.time(), self._latest
            self._timer = self.loop.call_later(seconds, self._late)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._phase = None

    def _late(self) -> None:
        """The deadline has come; it is put off for a body that comes fast enough, or that we have not read."""
        if self._phase is h11.SEND_BODY:
            ends = self._began + BODY + self._received / SLOWEST
            if self.flow.read_paused or ends > self.loop.time():
                self._timer = self.loop.call_later(max(1.0, ends - self.loop.time()), self._late)
                return
        elif self.conn.trailing_data[0]:
            self.transport.write(TOO_SLOW)
        self._rest()
        self.transport.close()
