"""Films fetched as files: every format a film can be exported as, written when asked for and gone once sent."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from shotstream.core.errors import InputError
from shotstream.film.compare import export_comparison
from shotstream.film.film import Film
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.formats import FORMATS, write_export
from shotstream.serving.desk import Desk

Id = Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]
FormatName = Annotated[str, InPath(pattern=f"^({'|'.join(FORMATS)})$")]
ZIP = "application/zip"
ShotNumber = Annotated[int | None, Query(ge=0, le=1_000_000, description="This shot alone: mp4, gif, webp.")]


def add_exports(api: APIRouter, desk: Desk) -> None:
    """The routes of finished files."""

    @api.get("/films/{id}/film.mp4", response_class=FileResponse, summary="The chosen takes as MP4")
    async def mp4(id: Id) -> FileResponse:
        return await _sent(desk, id, lambda film, folder: _exported(film, folder, "mp4", None))

    @api.get("/films/{id}/film.film", response_class=FileResponse, summary="The whole film as one file, to go on with")
    async def whole(id: Id) -> FileResponse:
        return await _sent(desk, id, _saved)

    @api.get("/films/{id}/shots/{shot}/compare.mp4", response_class=FileResponse, summary="A shot's takes side by side")
    async def compare(id: Id, shot: Annotated[int, InPath(ge=0, le=1_000_000)]) -> FileResponse:
        return await _sent(desk, id, lambda film, folder: _compared(film, folder, shot))

    @api.get("/films/{id}/exports/{name}", response_class=FileResponse, summary="The film in any format of exports")
    async def export(id: Id, name: FormatName, shot: ShotNumber = None) -> FileResponse:
        """What is more than one file comes as a zip: ``clips``, and ``otio`` and ``edl`` with their clips."""
        return await _sent(desk, id, lambda film, folder: _exported(film, folder, name, shot))


async def _sent(desk: Desk, id: str, write: Callable[[Film, Path], tuple[Path, str]]) -> FileResponse:
    """The file, and its MIME type, that ``write`` makes in a folder from the film as it stands, in another thread."""
    film = await desk.ask(lambda studio: studio.session(id).film.snapshot())
    folder = tempfile.TemporaryDirectory(prefix="shotstream-")
    try:
        path, kind = await run_in_threadpool(write, film, Path(folder.name))
    except InputError as fault:
        folder.cleanup()
        raise InputError(str(fault).replace(f"{folder.name}{os.sep}", "")) from fault
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(path, media_type=kind, filename=path.name, background=BackgroundTask(folder.cleanup))


def _saved(film: Film, folder: Path) -> tuple[Path, str]:
    film.save(folder / "film.film")
    return folder / "film.film", ZIP


def _compared(film: Film, folder: Path, shot: int) -> tuple[Path, str]:
    export_comparison(film, shot, folder / "compare.mp4")
    return folder / "compare.mp4", FORMATS["mp4"].kind


def _exported(film: Film, folder: Path, name: str, shot: int | None) -> tuple[Path, str]:
    suffix = next(iter(FORMATS[name].suffixes), "")
    path = folder / f"film{suffix}"
    files = write_export(timeline_of(film.record, film.store, "film"), path, name, shot)
    return (path, FORMATS[name].kind) if files == [path] else (_zipped(folder / f"{name}.zip", files), ZIP)


def _zipped(path: Path, files: list[Path]) -> Path:
    """``files`` in one zip, named as they lie beside ``path``; videos are packed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, file.relative_to(path.parent).as_posix())
    return path
