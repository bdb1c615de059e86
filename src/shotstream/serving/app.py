"""The application: page, API, live socket, health; everything behind the guard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from shotstream import __version__
from shotstream.core.errors import InputError, StorageError
from shotstream.serving.api import routes
from shotstream.serving.desk import Desk
from shotstream.serving.hub import Hub
from shotstream.serving.library import Library
from shotstream.serving.protocol import ModelView, RefusalCode
from shotstream.serving.safety import Guard
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


def make_app(load: Callable[[], StudioEngine], films: Path, port: int) -> ASGIApp:
    """The studio's application. ``load`` is called in the worker's thread; ``films``: where films are kept."""
    hub = Hub()
    library = Library(films)
    worker = Worker(load, library, hub, time.monotonic, hub.model)
    return Guard(_application(Desk(library, hub, worker, time.monotonic)), port, time.monotonic)


def _application(desk: Desk) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        desk.hub.start(asyncio.get_running_loop())
        desk.worker.start()
        yield
        await asyncio.to_thread(desk.worker.stop)
        desk.hub.stop()

    app = FastAPI(
        title="ShotStream studio",
        version=__version__,
        lifespan=life,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.include_router(routes(desk))
    _add_health(app, desk)
    for kind in (RefusedError, InputError, StorageError):
        app.add_exception_handler(kind, _refused)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await Live(socket, desk).run()

    web = Path(str(files("shotstream.serving") / "web"))
    app.mount("/", StaticFiles(directory=web, html=True), name="page")
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


async def _refused(request: Request, fault: Exception) -> JSONResponse:
    said = refusal(0, fault)
    return JSONResponse({"code": said.code, "text": said.text}, _STATUS.get(said.code, 400))
