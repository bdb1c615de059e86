"""The HTTP API under /api: the same commands as the socket, for scripts; and everything that is fetched as a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from shotstream.core.errors import InputError
from shotstream.film.film import Film
from shotstream.film.record import TakeRecord
from shotstream.media.story_file import parse_story
from shotstream.media.text_file import MAX_BYTES
from shotstream.serving.desk import Desk
from shotstream.serving.exports import Id, add_exports
from shotstream.serving.frames import Picture, jpeg, pack
from shotstream.serving.http_types import CheckText, Clean, Cleaned, Draft, Listed, NewFilm
from shotstream.serving.hub import Outbox, Showing
from shotstream.serving.protocol import Accepted, AnyCommand, FilmView, ModelView, Shoot, schema
from shotstream.serving.safety import UPLOADS
from shotstream.serving.session import Session
from shotstream.serving.studio import Studio
from shotstream.serving.words import Words, cut_hint, unknown_in

Number = Annotated[int, InPath(ge=0, le=1_000_000)]
BOUNDARY = "shotstream-frame"


def routes(desk: Desk) -> APIRouter:
    """All of /api."""
    api = APIRouter(prefix="/api")
    _add_films(api, desk)
    add_exports(api, desk)
    _add_frames(api, desk)
    _add_live(api, desk)
    return api


def _add_films(api: APIRouter, desk: Desk) -> None:
    @api.get("/model", summary="The model, and whether it is ready")
    async def model() -> ModelView:
        return desk.model

    @api.get("/words", summary="Every word the model knows")
    async def words() -> list[str]:
        return sorted(desk.known_words)

    @api.post("/check", summary="Words of a text the model does not know, and whether it reads as a cut")
    async def check(text: CheckText) -> Words:
        found = await run_in_threadpool(unknown_in, text.text, desk.known_words)
        return Words(unknown=found, hint=cut_hint(text.previous, text.text))

    @api.get("/protocol", summary="JSON Schema of the live socket's messages")
    async def protocol() -> dict[str, Any]:
        return schema()

    @api.get("/films", summary="All films, the latest first")
    async def films() -> list[Listed]:
        found = await run_in_threadpool(desk.library.entries)
        return [
            Listed(id=one.id, global_caption=one.global_caption, shots=one.shots, changed=one.changed) for one in found
        ]

    @api.post("/films", status_code=201, summary="Begin a film")
    async def create(new: NewFilm) -> FilmView:
        return await desk.ask(lambda studio: studio.create(new.global_caption, new.seed).view())

    @api.get("/films/{id}", summary="A film as it stands")
    async def film(id: Id) -> FilmView:
        return await desk.ask(lambda studio: studio.session(id).view())

    @api.post("/films/{id}/ahead", status_code=204, summary="Read a caption that may come next: its shot starts sooner")
    async def ahead(id: Id, draft: Draft) -> None:
        await desk.ask(lambda studio: studio.read_ahead(id, draft.caption))

    @api.post("/films/{id}/shots", status_code=202, summary="Plan a shot at the film's end")
    async def shoot(id: Id, shot: Shoot) -> Accepted:
        return await _done(desk, id, shot)

    @api.post("/films/{id}/commands", status_code=202, summary="Any command of the live socket")
    async def command(id: Id, command: AnyCommand) -> Accepted:
        return await _done(desk, id, command)

    @api.post("/films/{id}/clean", summary="Forget what undo would need, and remove footage that is in no branch")
    async def clean(id: Id, what: Clean) -> Cleaned:
        freed = await desk.ask(lambda studio: studio.session(id).clean(unchosen=what.unchosen))
        return Cleaned(bytes=freed)

    @api.post(UPLOADS.removeprefix("/api"), status_code=201, summary="Open a film file or a story, sent as the body")
    async def opened(request: Request) -> FilmView:
        return await _open(desk, request)


def _add_frames(api: APIRouter, desk: Desk) -> None:
    @api.get("/films/{id}/takes/{take}/frames", response_class=Response, summary="All frames of a made take")
    async def frames(id: Id, take: Number) -> Response:
        film = await desk.ask(lambda studio: studio.session(id).film.snapshot())
        data = await run_in_threadpool(_packed, film, take)
        return Response(data, media_type="application/octet-stream", headers={"cache-control": "private, max-age=3600"})

    @api.get("/films/{id}/takes/{take}/frames/{frame}", response_class=Response, summary="One frame as a JPEG")
    async def still(id: Id, take: Number, frame: Number) -> Response:
        film = await desk.ask(lambda studio: studio.session(id).film.snapshot())
        data = await run_in_threadpool(_still, film, take, frame)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


def _add_live(api: APIRouter, desk: Desk) -> None:
    @api.get("/films/{id}/stream", response_class=StreamingResponse, summary="Frames as they are made, as MJPEG")
    async def stream(id: Id) -> StreamingResponse:
        await desk.ask(lambda studio: studio.session(id).view())
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return StreamingResponse(_parts(desk, id), media_type=kind)


async def _done(desk: Desk, id: str, command: Any) -> Accepted:
    take = await desk.ask(lambda studio: studio.session(id).do(command))
    return Accepted(ref=command.ref, take=take)


async def _parts(desk: Desk, id: str) -> AsyncIterator[bytes]:
    outbox = Outbox()
    desk.hub.join(id, outbox)
    try:
        while True:
            letter = await outbox.get()
            if isinstance(letter, Showing):
                for picture in (await letter.printed()).pictures:
                    head = f"--{BOUNDARY}\r\ncontent-type: image/jpeg\r\ncontent-length: {len(picture.data)}\r\n\r\n"
                    yield head.encode() + picture.data + b"\r\n"
    finally:
        desk.hub.leave(id, outbox)


async def _open(desk: Desk, request: Request) -> FilmView:
    """Stream the body to a file, look what it is, and open it. Its name is never asked."""
    with tempfile.TemporaryDirectory(prefix="shotstream-") as folder:
        path = Path(folder) / "opened"
        try:
            with path.open("wb") as file:
                async for piece in request.stream():
                    await run_in_threadpool(file.write, piece)
        except ClientDisconnect as fault:
            raise InputError("the file did not come whole; send it again") from fault
        with path.open("rb") as source:
            head = source.read(MAX_BYTES + 1)

        def opened(studio: Studio) -> Session:
            if head.startswith(b"PK"):
                return studio.open_file(path)
            if len(head) > MAX_BYTES:
                raise InputError("neither a film file nor a story")
            try:
                text = head.decode("utf-8-sig")
            except UnicodeDecodeError as fault:
                raise InputError("neither a film file nor a story in UTF-8") from fault
            return studio.open_story(parse_story(text))

        try:
            return await desk.ask(lambda studio: opened(studio).view())
        except InputError as fault:
            raise InputError(str(fault).replace(str(path), "the file")) from fault


def _made(film: Film, id: int) -> tuple[int, TakeRecord]:
    shot, take = film.record.find(id)
    if take.state == "planned":
        raise InputError(f"take {id} has no frames yet")
    return shot, take


def _packed(film: Film, id: int) -> bytes:
    shot, take = _made(film, id)
    pixels = film.store.frames(take)
    return b"".join(pack(Picture(id, frame, shot, jpeg(one))) for frame, one in enumerate(pixels))


def _still(film: Film, id: int, frame: int) -> bytes:
    _, take = _made(film, id)
    if frame >= take.frames:
        raise InputError(f"take {id} has {take.frames} frames, counted from 0")
    return jpeg(film.store.frames(take, [frame])[0])
