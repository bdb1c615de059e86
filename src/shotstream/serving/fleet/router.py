"""The front of several replicas: page, login, seats; passes requests and viewers' sockets on to the film's replica.

A socket waits for a seat first; then messages go to the replica and back.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, WebSocketException

from shotstream import __version__
from shotstream.serving import connection
from shotstream.serving.app import make_authentication, mount_page
from shotstream.serving.fleet.placement import Placement, Ticket
from shotstream.serving.fleet.processes import Launcher
from shotstream.serving.fleet.replica_pool import ReplicaPool, Slot
from shotstream.serving.http_types import problem_of
from shotstream.serving.metrics import CONTENT_TYPE
from shotstream.serving.protocol import NO_FILM, Notice, Refused, ServerMessage, parse
from shotstream.serving.security import BEGINNINGS, REALTIME, VIDEOS, Guard, Names

FILM = re.compile(r"/(?:api/films/|v1/videos/video_)([0-9a-f]{12})(?:/|$)")
THERE = ("accept", "content-type", "content-length", "range", "if-none-match", "if-modified-since")
BACK: tuple[str, ...] = (
    "content-type",
    "content-length",
    "content-disposition",
    "cache-control",
    "etag",
    "last-modified",
)
BACK += ("accept-ranges", "content-range")
MISSING, ID_LENGTH = 404, 12
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


def make_router(
    launch: Launcher,
    port: int,
    *,
    replicas: int,
    seats: int,
    replica_token: str,
    token: str | None = None,
    names: Names | None = None,
) -> ASGIApp:
    """A studio of so many replicas, with so many ``seats`` each; token and names as for :func:`make_app`."""
    pool = ReplicaPool(launch, [Slot(index) for index in range(replicas)], replica_token, Placement(seats))
    authentication = make_authentication(token, port)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await pool.start()
        yield
        await pool.stop()

    app = FastAPI(title="ShotStream studio", version=__version__, lifespan=life, openapi_url=None)
    app.state.pool = pool
    _add_health(app, pool)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await SocketProxy(socket, pool, time.monotonic).run()

    @app.websocket(REALTIME)
    async def realtime(socket: WebSocket) -> None:
        await socket.accept()
        said = "a studio of several replicas does not speak this protocol; ask one without --replicas"
        await socket.send_json({"type": "error", "message": said, "code": "refused"})
        await socket.close(1008)

    @app.api_route("/api/{path:path}", methods=METHODS)
    @app.api_route(f"{VIDEOS}{{path:path}}", methods=METHODS)
    async def anything(request: Request, path: str) -> Response:
        return await _forwarded(request, pool)

    mount_page(app, authentication)
    return Guard(app, names or Names.of_loopback(port), authentication)


def new_replica_token() -> str:
    """What the front and its replicas know of each other."""
    return secrets.token_urlsafe(32)


def _add_health(app: FastAPI, pool: ReplicaPool) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        good = not pool.hopeless
        return JSONResponse({"ok": good}, 200 if good else 503)

    @app.get("/readyz")
    async def readyz() -> Response:
        good = bool(pool.placement.replicas)
        said = {"ok": good, "replicas": len(pool.placement.replicas), "of": len(pool.slots)}
        return JSONResponse(said, 200 if good else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        names = list(pool.placement.replicas)
        pages = dict(zip(names, await asyncio.gather(*map(pool.metrics_of, names)), strict=True))
        return Response(pool.metrics_page(pages), media_type=CONTENT_TYPE)


async def _forwarded(request: Request, pool: ReplicaPool) -> Response:
    """A request of the API, asked where its film is, or at the emptiest replica."""
    if not pool.placement.replicas:
        return _problem(request, 503, "not_ready", "no replica of the studio is ready; try again in a moment")
    path = request.scope["path"]  # the guard lets none in that a replica could read in another way
    film = FILM.match(path)
    home = pool.placement.home(film[1]) if film else pool.placement.emptiest()
    assert home is not None
    raw = quote(path) + (f"?{request.url.query}" if request.url.query else "")
    body = request.stream() if request.method in ("POST", "PUT", "PATCH", "DELETE") else None
    try:
        outgoing = pool.http.build_request(
            request.method,
            pool.url(home) + raw,
            headers={name: request.headers[name] for name in THERE if name in request.headers},
            content=body,
        )
        outgoing.extensions["timeout"] |= {"read": None}  # a film takes as long as it takes to be written
        answer = await pool.http.send(outgoing, stream=True)
    except (httpx.TransportError, KeyError):
        said = "the replica that had this film has died; the film goes on elsewhere. Look whether this was done"
        return _problem(request, 503, "busy", said)
    headers = {name: answer.headers[name] for name in BACK if name in answer.headers}
    begun = request.method == "POST" and path in BEGINNINGS and answer.is_success
    if begun or answer.status_code == MISSING:
        data = await answer.aread()
        await answer.aclose()
        if begun:
            pool.placement.settle(answer.json()["id"][-ID_LENGTH:], home)
        elif film and (said := answer.json()).get("error", said)["code"] == NO_FILM:
            pool.placement.forget(film[1])
        return Response(data, answer.status_code, headers)
    ended = BackgroundTask(answer.aclose)
    return StreamingResponse(answer.aiter_raw(), answer.status_code, headers, background=ended)


def _problem(request: Request, status: int, code: str, text: str) -> Response:
    return JSONResponse(problem_of(request.scope["path"], code, text).model_dump(), status)


INBOX = 64  # messages of a viewer that wait to be passed on
ENDED_WELL = frozenset((1000, 1002, 1003, 1008, 1009, 1013))  # what a replica says that is alive
COME_BACK = 1012


@dataclass(slots=True)
class SocketProxy:
    """``clock``: seconds that never go back."""

    socket: WebSocket
    pool: ReplicaPool
    clock: Callable[[], float]
    inbox: asyncio.Queue[str | bytes | None] = field(default_factory=lambda: asyncio.Queue(INBOX))
    state: connection.State = field(default_factory=connection.State)
    passing: bool = False  # does a replica take what the viewer sends?

    async def run(self) -> None:
        """Until the viewer goes, is sent away, or its replica dies: then it is asked to come back."""
        await self.socket.accept()
        reader = asyncio.create_task(self._read())
        reader.add_done_callback(_heard)
        try:
            while (attach := await self._hello()) is not None and await self._watch(*attach, reader):
                self.state = connection.detached(self.state)  # there is no such film: it may ask for another
        except (RuntimeError, OSError, WebSocketDisconnect):
            return  # the viewer has gone while something was said to it
        finally:
            reader.cancel()

    async def _read(self) -> None:
        """Everything the viewer sends; None when it has gone. While nobody takes it on, it may not send much: what is
        not read hides that a viewer has gone."""
        while (message := await self.socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            if self.inbox.full() and not self.passing:
                await self.socket.close(1008, "too fast")
                return
            await self.inbox.put(message.get("bytes", b"") if text is None else text)
        while self.inbox.full() and not self.passing:
            self.inbox.get_nowait()  # who has gone without being let in asks for nothing any more
        await self.inbox.put(None)

    async def _hello(self) -> tuple[connection.Attach, str] | None:
        """The film the viewer wants, and its own words; None: it has gone, or was sent away."""
        while (message := await self.inbox.get()) is not None:
            read = parse(message) if isinstance(message, str) else Refused(code="malformed", text="messages are text")
            self.state, effects = connection.advance(self.state, read, self.clock())
            for effect in effects:
                match effect:
                    case connection.Attach():
                        return effect, str(message)
                    case connection.Close():
                        await self.socket.close(effect.code, effect.reason)
                        return None
                    case Refused():
                        await self._say(effect)
        return None

    async def _watch(self, attach: connection.Attach, hello: str, reader: asyncio.Task[None]) -> bool:
        """Have a seat for the film, and watch it. True: there is no such film, and the viewer is still there."""
        placement = self.pool.placement
        ticket = placement.ask(attach.film)
        try:
            self.pool.tell()
            return await self._let_in(ticket, reader) and await self._pass_on(attach, hello, reader)
        finally:
            self.passing = False
            placement.leave(ticket)
            self.pool.tell()

    async def _let_in(self, ticket: Ticket, reader: asyncio.Task[None]) -> bool:
        """Wait for a seat, and say how many have to become free first whenever that changes. False: it has gone."""
        told = 0
        while not ticket.admitted:
            changed, position = self.pool.changed, self.pool.placement.position(ticket)
            if position != told:
                told = position
                text = f"All seats are taken. You are number {position} in the queue; the film is shown when it is you."
                await self._say(Notice(code="waiting", text=text, position=position))
            waiting = asyncio.create_task(changed.wait())
            await asyncio.wait({waiting, reader}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if reader.done():
                return False
        return True

    async def _pass_on(self, attach: connection.Attach, hello: str, reader: asyncio.Task[None]) -> bool:
        """Everything to the film's replica and back, until one side ends. True: it has no such film."""
        home = self.pool.placement.home(attach.film)
        try:
            url = self.pool.url(home or "").replace("http", "ws", 1)
            viewer = {"x-forwarded-for": self.socket.client.host} if self.socket.client else {}
            headers = {**self.pool.key, **viewer}  # a replica chooses pictures by how far away their viewer is
            async with connect(
                f"{url}/ws", additional_headers=headers, max_size=None, proxy=None, compression=None
            ) as replica:
                await replica.send(hello)
                welcomed = asyncio.create_task(self._welcomed(replica, attach))
                await asyncio.wait({welcomed, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not welcomed.done():  # the viewer has gone: its seat is free, however long the film takes to open
                    welcomed.cancel()
                    return False
                if not welcomed.result():
                    return True
                self.passing = True
                code = await self._both_ways(replica)
        except (WebSocketException, OSError, KeyError):
            code = COME_BACK
        if code is None:
            return False
        if code not in ENDED_WELL:
            code = COME_BACK
            await self._say(Notice(code="moved", text="A part of the studio died. The film goes on at another."))
        await self.socket.close(code)
        return False

    async def _welcomed(self, replica: ClientConnection, attach: connection.Attach) -> bool:
        """Pass on what the replica says until it shows the film; False: it refuses to, and the line is free again."""
        async for message in replica:
            await self._give(message)
            said = json.loads(message) if isinstance(message, str) else {}
            if said.get("type") == "welcome":
                return True
            if said.get("type") == "refused":
                if said["code"] == NO_FILM:
                    self.pool.placement.forget(attach.film)
                return False
        raise ConnectionClosedError(None, None)

    async def _give(self, message: str | bytes) -> None:
        await (self.socket.send_text(message) if isinstance(message, str) else self.socket.send_bytes(message))

    async def _both_ways(self, replica: ClientConnection) -> int | None:
        """Pass messages on until one side ends; the code with which the replica did. None: the viewer has gone."""

        async def up() -> None:
            while (message := await self.inbox.get()) is not None:
                await replica.send(message)

        async def down() -> None:
            async for message in replica:
                await self._give(message)

        tasks = [asyncio.create_task(way()) for way in (up, down)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        faults = await asyncio.gather(*tasks, return_exceptions=True)
        closed = any(isinstance(fault, ConnectionClosed) for fault in faults)
        if tasks[1] not in done and not closed:
            return None
        return replica.close_code or COME_BACK

    async def _say(self, message: ServerMessage) -> None:
        await self.socket.send_text(message.model_dump_json())


def _heard(task: asyncio.Task[None]) -> None:
    """Retrieve a task's exception after its viewer has gone, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
