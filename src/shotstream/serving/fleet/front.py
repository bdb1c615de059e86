"""The front of a studio of several replicas: page, login, seats; everything about a film goes to where it is."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.types import ASGIApp

from shotstream import __version__
from shotstream.serving.app import make_door, mount_page
from shotstream.serving.fleet.crew import Crew, Slot
from shotstream.serving.fleet.line import Line
from shotstream.serving.fleet.placement import Placement
from shotstream.serving.fleet.processes import Launcher
from shotstream.serving.http_types import Problem
from shotstream.serving.metrics import CONTENT_TYPE
from shotstream.serving.protocol import FilmView
from shotstream.serving.safety import BEGINNINGS, Guard, Names

FILM = re.compile(r"/api/films/([0-9a-f]{12})(?:/|$)")
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
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


def make_front(
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
    crew = Crew(launch, [Slot(index) for index in range(replicas)], replica_token, Placement(seats))
    door = make_door(token, port)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await crew.start()
        yield
        await crew.stop()

    app = FastAPI(title="ShotStream studio", version=__version__, lifespan=life, openapi_url=None)
    app.state.crew = crew
    _add_health(app, crew)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await Line(socket, crew, time.monotonic).run()

    @app.api_route("/api/{path:path}", methods=METHODS)
    async def anything(request: Request, path: str) -> Response:
        return await _forwarded(request, crew)

    mount_page(app, door)
    return Guard(app, names or Names.of_loopback(port), door)


def new_replica_token() -> str:
    """What the front and its replicas know of each other."""
    return secrets.token_urlsafe(32)


def _add_health(app: FastAPI, crew: Crew) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        good = not crew.hopeless
        return JSONResponse({"ok": good}, 200 if good else 503)

    @app.get("/readyz")
    async def readyz() -> Response:
        good = bool(crew.placement.replicas)
        said = {"ok": good, "replicas": len(crew.placement.replicas), "of": len(crew.slots)}
        return JSONResponse(said, 200 if good else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        async def page(name: str) -> tuple[str, str]:
            try:
                return name, (await crew.http.get(f"{crew.url(name)}/metrics")).text
            except (httpx.TransportError, KeyError):
                return name, ""  # it has just died: the front counts that

        pages = dict(await asyncio.gather(*(page(name) for name in crew.placement.replicas)))
        return Response(crew.metrics.page(crew.placement, pages), media_type=CONTENT_TYPE)


async def _forwarded(request: Request, crew: Crew) -> Response:
    """A request of the API, asked where its film is, or at the emptiest replica."""
    if not crew.placement.replicas:
        return _problem(503, "not_ready", "no replica of the studio is ready; try again in a moment")
    film = FILM.match(request.url.path)
    home = crew.placement.home(film[1]) if film else crew.placement.emptiest()
    assert home is not None
    raw = request.scope["raw_path"].decode("ascii") + (f"?{request.url.query}" if request.url.query else "")
    body = request.stream() if request.method in ("POST", "PUT", "PATCH", "DELETE") else None
    try:
        outgoing = crew.http.build_request(
            request.method,
            crew.url(home) + raw,
            headers={name: request.headers[name] for name in THERE if name in request.headers},
            content=body,
        )
        outgoing.extensions["timeout"] |= {"read": None}  # a film takes as long as it takes to be written
        answer = await crew.http.send(outgoing, stream=True)
    except (httpx.TransportError, KeyError):
        said = "the replica that had this film has died; the film goes on elsewhere. Look whether this was done"
        return _problem(503, "busy", said)
    headers = {name: answer.headers[name] for name in BACK if name in answer.headers}
    if request.url.path in BEGINNINGS and answer.status_code == 201:
        data = await answer.aread()
        await answer.aclose()
        crew.placement.settle(FilmView.model_validate_json(data).id, home)
        return Response(data, answer.status_code, headers)
    ended = BackgroundTask(answer.aclose)
    return StreamingResponse(answer.aiter_raw(), answer.status_code, headers, background=ended)


def _problem(status: int, code: str, text: str) -> Response:
    return JSONResponse(Problem(code=code, text=text).model_dump(), status)
