"""Exports over HTTP: every format, written on request and deleted once sent."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from shotstream.core.errors import InputError
from shotstream.film.disk.archive import pack
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.export import export_comparison, presented
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.formats import FORMATS, write_export
from shotstream.media.exports.timeline import MAX_HEIGHT, MAX_RATE, MIN_HEIGHT, scaled
from shotstream.serving.app_state import AppState
from shotstream.serving.library import Published
from shotstream.serving.uploads import Uploads

Id = Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]
FormatName = Annotated[str, InPath(pattern=f"^({'|'.join(FORMATS)})$")]
ZIP = "application/zip"
HEIGHT = "Pictures scaled to this many rows; mp4, gif, webp, clips. None: as they were made."
Height = Annotated[int | None, Query(ge=MIN_HEIGHT, le=MAX_HEIGHT, multiple_of=2, description=HEIGHT)]
RATE = "Frames per second, by showing frames for longer or leaving some out. None: as it was made."
Rate = Annotated[int | None, Query(ge=1, le=MAX_RATE, description=RATE)]
MOST_STEM = 60  # bytes of the name of a film in the name of a file
ShotNumber = Annotated[int | None, Query(ge=0, le=1_000_000, description="This shot alone: mp4, gif, webp.")]


def add_exports(api: APIRouter, app_state: AppState, uploads: Uploads) -> None:
    """The routes of finished files."""

    @api.get("/films/{id}/film.mp4", response_class=FileResponse, summary="The chosen takes as MP4")
    async def mp4(id: Id) -> FileResponse:
        return await whole_mp4(app_state, id)

    @api.get("/films/{id}/film.film", response_class=FileResponse, summary="The whole film as one file, to go on with")
    async def whole(id: Id) -> FileResponse:
        return await _sent(app_state, id, _saved)

    @api.get("/films/{id}/shots/{shot}/compare.mp4", response_class=FileResponse, summary="A shot's takes side by side")
    async def compare(id: Id, shot: Annotated[int, InPath(ge=0, le=1_000_000)]) -> FileResponse:
        return await _sent(app_state, id, lambda film, place: _compared(film, place, shot))

    @api.get("/films/{id}/exports/{name}", response_class=FileResponse, summary="The film in any format of exports")
    async def export(
        id: Id, name: FormatName, shot: ShotNumber = None, height: Height = None, fps: Rate = None
    ) -> FileResponse:
        """What is more than one file comes as a zip: ``clips``, and ``otio`` and ``edl`` with their clips."""
        part = Part(shot=shot, height=height, fps=fps)
        return await _sent(app_state, id, lambda film, place: _exported(film, place, name, part))

    @api.post(
        "/films/{id}/exports/{name}", response_class=FileResponse, summary="The same with sound, sent as the body"
    )
    async def export_with_sound(
        request: Request, id: Id, name: FormatName, shot: ShotNumber = None, height: Height = None, fps: Rate = None
    ) -> FileResponse:
        """The sound track of the file is laid under ``mp4``, ``clips``, and the clips of ``otio`` and ``edl``."""
        async with uploads.received(request) as sound:
            part = Part(shot=shot, height=height, fps=fps, sound=sound)
            try:
                return await _sent(app_state, id, lambda film, place: _exported(film, place, name, part))
            except InputError as fault:
                raise InputError(str(fault).replace(str(sound), "the file")) from fault


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is written: in ``folder``, called ``stem`` and what it is. ``title``: the film's."""

    folder: Path
    stem: str
    title: str


@dataclass(frozen=True, slots=True)
class Part:
    """What of a film is exported: shot ``shot`` alone (None: all), scaled to ``height`` rows (None: as made), at
    another rate, with sound under it."""

    shot: int | None = None
    height: int | None = None
    fps: int | None = None
    sound: Path | None = None

    @property
    def words(self) -> list[str]:
        """What it adds to a file's name."""
        shot = [] if self.shot is None else [f"shot-{self.shot + 1}"]
        height = [] if self.height is None else [f"{self.height}p"]
        return [*shot, *height, *([] if self.fps is None else [f"{self.fps}fps"])]


async def whole_mp4(app_state: AppState, id: str) -> FileResponse:
    """Film ``id`` as it stands. Raises as :meth:`AppState.read` does, and :class:`InputError` for one without shots."""
    return await _sent(app_state, id, lambda film, place: _exported(film, place, "mp4", Part()))


async def _sent(app_state: AppState, id: str, write: Callable[[Published, Place], tuple[Path, str]]) -> FileResponse:
    """The file, and its MIME type, that ``write`` makes in a folder from the film as it stands, in another thread."""
    film = await app_state.read(id)
    folder = ScratchFolder()
    title = app_state.library.name(id) or film.record.global_caption
    try:
        path, kind = await run_in_threadpool(write, film, Place(folder.path, _stem(title), title))
    except InputError as fault:
        folder.close()
        raise InputError(str(fault).replace(f"{folder.path}{os.sep}", "")) from fault
    except BaseException:
        folder.close()
        raise
    return FileResponse(path, media_type=kind, filename=path.name, background=BackgroundTask(folder.close))


def _stem(title: str) -> str:
    """A file name of the words of ``title``, without its end: no more of them than a file's name can bear."""
    words = re.findall(r"\w+", title)
    stem = ""
    for word in words:
        if len(f"{stem}-{word}".encode()) > MOST_STEM:
            break
        stem = f"{stem}-{word}" if stem else word
    return stem or "film"


def _saved(film: Published, place: Place) -> tuple[Path, str]:
    path = place.folder / f"{place.stem}.film"
    pack(film.record, film.store, path)
    return path, ZIP


def _compared(film: Published, place: Place, shot: int) -> tuple[Path, str]:
    path = place.folder / f"{place.stem}-shot-{shot + 1}-takes.mp4"
    export_comparison(film.record, film.store, shot, path)
    return path, FORMATS["mp4"].kind


def _exported(film: Published, place: Place, name: str, part: Part) -> tuple[Path, str]:
    stem = "-".join([place.stem, *part.words])
    path = place.folder / f"{stem}{next(iter(FORMATS[name].suffixes), '')}"
    timeline = presented(timeline_of(film.record, film.store, place.title), part.fps, part.sound)
    if part.height is not None:
        timeline = scaled(timeline, part.height)
    files = write_export(timeline, path, name, part.shot)
    if files == [path]:
        return path, FORMATS[name].kind
    return _zipped(place.folder / f"{stem}-{name}.zip", files), ZIP


def _zipped(path: Path, files: list[Path]) -> Path:
    """``files`` in one zip, named as they lie beside ``path``; videos are packed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, file.relative_to(path.parent).as_posix())
    return path
