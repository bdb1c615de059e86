"""The ASGI application: page, API, live socket and health, behind the guard."""

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
from shotstream.media.script_writer import ChatModel
from shotstream.serving.access import Access, Authentication, login_routes
from shotstream.serving.app_state import STATUS, AppState, refusal
from shotstream.serving.broadcaster import Broadcaster
from shotstream.serving.clients import Clients
from shotstream.serving.frames import USUAL, PictureRule
from shotstream.serving.http_types import Problem, problem_of
from shotstream.serving.library import Library
from shotstream.serving.live_socket import LiveSocket
from shotstream.serving.metrics import CONTENT_TYPE
from shotstream.serving.protocol import ModelView
from shotstream.serving.realtime_video import RealtimeVideo
from shotstream.serving.routes import routes
from shotstream.serving.security import REALTIME, Guard, Names
from shotstream.serving.session import RefusedError
from shotstream.serving.studio import StudioEngine
from shotstream.serving.videos import video_routes
from shotstream.serving.worker import Worker


def make_app(
    load: Callable[[], StudioEngine],
    films: Path,
    port: int,
    *,
    disk_budget: int | None = None,
    token: str | None = None,
    names: Names | None = None,
    rule: PictureRule = USUAL,
    writer: ChatModel | None = None,
) -> ASGIApp:
    """The studio's application. ``load`` is called in the worker's thread; ``films``: where films are kept.

    disk_budget: bytes that all films together may fill; beyond, nothing more is made. token: asked of everybody; None:
    of nobody, and then it must be reachable from this machine alone. names: it answers to, else this machine's own.
    rule: who gets MP4 instead of JPEG. writer: a chat model that writes scripts from ideas; None: there is none.
    """
    app = make_studio(load, films, disk_budget=disk_budget, rule=rule, writer=writer)
    authentication = make_authentication(token, port)
    mount_page(app, authentication)
    return Guard(app, names or Names.of_loopback(port), authentication)


def make_studio(
    load: Callable[[], StudioEngine],
    films: Path,
    *,
    disk_budget: int | None = None,
    rule: PictureRule = USUAL,
    writer: ChatModel | None = None,
) -> FastAPI:
    """The studio without page, login and guard: API, live socket, health."""
    broadcaster = Broadcaster(time.monotonic)
    library = Library(films, disk_budget)
    library.sweep()
    worker = Worker(load, library, broadcaster, time.monotonic, broadcaster.model)
    return _application(AppState(library, broadcaster, worker, time.monotonic, rule, writer))


def make_authentication(token: str | None, port: int) -> Authentication:
    """Who is let in at ``port``."""
    return Authentication(Access(token, time.monotonic), Clients(time.monotonic), f"shotstream_{port}")


def mount_page(app: FastAPI, authentication: Authentication) -> None:
    """The page and the way in; last, as the page answers to every path that is left."""
    app.include_router(login_routes(authentication))
    web = Path(str(files("shotstream.serving") / "web"))
    app.mount("/", StaticFiles(directory=web, html=True), name="page")


def _application(app_state: AppState) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # FastAPI builds its routes when first asked, with warnings caught, which no two threads may do
        app_state.broadcaster.start(asyncio.get_running_loop())
        app_state.worker.start()
        yield
        await asyncio.to_thread(app_state.worker.stop)
        await asyncio.to_thread(app_state.broadcaster.stop)

    app = FastAPI(
        title="ShotStream studio",
        version=__version__,
        lifespan=life,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.include_router(routes(app_state))
    app.include_router(video_routes(app_state))
    _add_health(app, app_state)
    _add_metrics(app, app_state)
    for kind in (RefusedError, InputError, StorageError):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _no_such_thing)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await LiveSocket(socket, app_state).run()

    @app.websocket(REALTIME)
    async def realtime(socket: WebSocket) -> None:
        await RealtimeVideo(socket, app_state).run()

    return app


def _add_health(app: FastAPI, app_state: AppState) -> None:
    @app.get("/healthz", summary="Is the studio alive?")
    async def healthz() -> JSONResponse:
        good = app_state.worker.alive
        return JSONResponse({"ok": good, "viewers": app_state.broadcaster.viewers()}, 200 if good else 503)

    @app.get("/readyz", summary="Can it make films now?")
    async def readyz() -> JSONResponse:
        model: ModelView = app_state.model
        good = app_state.worker.alive and model.state == "ready"
        return JSONResponse({"ok": good, "model": model.model_dump()}, 200 if good else 503)


def _add_metrics(app: FastAPI, app_state: AppState) -> None:
    @app.get("/metrics", summary="What Prometheus reads", response_class=Response)
    async def metrics() -> Response:
        try:
            occupied = await app_state.ask(lambda studio: studio.occupied())
        except RefusedError:  # no model, or too much to do: what was counted is told all the same
            occupied = None
        ready = app_state.worker.alive and app_state.model.state == "ready"
        page = app_state.broadcaster.metrics.page(
            viewers=app_state.broadcaster.viewers(), ready=ready, occupied=occupied
        )
        return Response(page, media_type=CONTENT_TYPE)


async def _refused(request: Request, fault: Exception) -> JSONResponse:
    said = refusal(0, fault)
    return _problem(request, STATUS.get(said.code, 400), said.code, said.text)


async def _malformed(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    return _problem(request, 422, "malformed", f"{place}: {first['msg'].removeprefix('Value error, ')}"[:300])


async def _no_such_thing(request: Request, fault: Exception) -> JSONResponse:
    """A path or method there is not, a body that broke off."""
    assert isinstance(fault, HTTPException)
    return _problem(request, fault.status_code, "malformed", str(fault.detail), fault.headers)


def _problem(
    request: Request, status: int, code: str, text: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(problem_of(request.scope["path"], code, text).model_dump(), status, headers)
