"""The application: page, API, live socket, health; everything behind the guard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from shotstream import __version__
from shotstream.core.errors import InputError, StorageError
from shotstream.serving.access import Access
from shotstream.serving.api import routes
from shotstream.serving.clients import Clients
from shotstream.serving.desk import Desk
from shotstream.serving.http_types import Problem
from shotstream.serving.hub import Hub
from shotstream.serving.library import Library
from shotstream.serving.login import Door, login_routes
from shotstream.serving.metrics import CONTENT_TYPE
from shotstream.serving.picture_rule import USUAL, PictureRule
from shotstream.serving.protocol import ModelView, RefusalCode
from shotstream.serving.safety import Guard, Names
from shotstream.serving.session import RefusedError
from shotstream.serving.socket import Live, refusal
from shotstream.serving.studio import StudioEngine
from shotstream.serving.worker import Worker

_STATUS: dict[RefusalCode, int] = {
    "no_such_film": 404,
    "not_ready": 503,
    "closed": 503,
    "busy": 429,
    "queue_full": 429,
    "nothing_running": 409,
    "refused": 422,
    "storage": 507,
}


def make_app(
    load: Callable[[], StudioEngine],
    films: Path,
    port: int,
    *,
    disk_budget: int | None = None,
    token: str | None = None,
    names: Names | None = None,
    rule: PictureRule = USUAL,
) -> ASGIApp:
    """The studio's application. ``load`` is called in the worker's thread; ``films``: where films are kept.

    disk_budget: bytes that all films together may fill; beyond, nothing more is made. token: asked of everybody; None:
    of nobody, and then it must be reachable from this machine alone. names: it answers to, else this machine's own.
    rule: who gets MP4 instead of JPEG.
    """
    app = make_studio(load, films, disk_budget=disk_budget, rule=rule)
    door = make_door(token, port)
    mount_page(app, door)
    return Guard(app, names or Names.of_loopback(port), door)


def make_studio(
    load: Callable[[], StudioEngine],
    films: Path,
    *,
    disk_budget: int | None = None,
    rule: PictureRule = USUAL,
) -> FastAPI:
    """The studio without page, login and guard: API, live socket, health."""
    hub = Hub(time.monotonic)
    library = Library(films, disk_budget)
    worker = Worker(load, library, hub, time.monotonic, hub.model)
    return _application(Desk(library, hub, worker, time.monotonic, rule))


def make_door(token: str | None, port: int) -> Door:
    """Who is let in at ``port``."""
    return Door(Access(token, time.monotonic), Clients(time.monotonic), f"shotstream_{port}")


def mount_page(app: FastAPI, door: Door) -> None:
    """The page and the way in; last, as the page answers to every path that is left."""
    app.include_router(login_routes(door))
    web = Path(str(files("shotstream.serving") / "web"))
    app.mount("/", StaticFiles(directory=web, html=True), name="page")


def _application(desk: Desk) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # FastAPI builds its routes when first asked, with warnings caught, which no two threads may do
        desk.hub.start(asyncio.get_running_loop())
        desk.worker.start()
        yield
        await asyncio.to_thread(desk.worker.stop)
        await asyncio.to_thread(desk.hub.stop)

    app = FastAPI(
        title="ShotStream studio",
        version=__version__,
        lifespan=life,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.include_router(routes(desk))
    _add_health(app, desk)
    _add_metrics(app, desk)
    for kind in (RefusedError, InputError, StorageError):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _no_such_thing)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await Live(socket, desk).run()

    return app


def _add_health(app: FastAPI, desk: Desk) -> None:
    @app.get("/healthz", summary="Is the studio alive?")
    async def healthz() -> JSONResponse:
        good = desk.worker.alive
        return JSONResponse({"ok": good, "viewers": desk.hub.viewers()}, 200 if good else 503)

    @app.get("/readyz", summary="Can it make films now?")
    async def readyz() -> JSONResponse:
        model: ModelView = desk.model
        good = desk.worker.alive and model.state == "ready"
        return JSONResponse({"ok": good, "model": model.model_dump()}, 200 if good else 503)


def _add_metrics(app: FastAPI, desk: Desk) -> None:
    @app.get("/metrics", summary="What Prometheus reads", response_class=Response)
    async def metrics() -> Response:
        try:
            occupied = await desk.ask(lambda studio: studio.occupied())
        except RefusedError:  # no model, or too much to do: what was counted is told all the same
            occupied = None
        ready = desk.worker.alive and desk.model.state == "ready"
        page = desk.hub.metrics.page(viewers=desk.hub.viewers(), ready=ready, occupied=occupied)
        return Response(page, media_type=CONTENT_TYPE)


async def _refused(request: Request, fault: Exception) -> JSONResponse:
    said = refusal(0, fault)
    return _problem(_STATUS.get(said.code, 400), said.code, said.text)


async def _malformed(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    return _problem(422, "malformed", f"{place}: {first['msg'].removeprefix('Value error, ')}"[:300])


async def _no_such_thing(request: Request, fault: Exception) -> JSONResponse:
    """A path or method there is not, a body that broke off."""
    assert isinstance(fault, HTTPException)
    return _problem(fault.status_code, "malformed", str(fault.detail), fault.headers)


def _problem(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(code=code, text=text).model_dump(), status, headers)
