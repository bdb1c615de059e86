"""The videos API of OpenAI under /v1/videos: a video is a film of the library that was begun here."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from shotstream.core.config import Config, first_fault
from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import write_text
from shotstream.film.disk.folder import last_change, peek
from shotstream.serving.app_state import AppState
from shotstream.serving.asked_video import AskedVideo
from shotstream.serving.exports import whole_mp4
from shotstream.serving.http_types import ApiProblem
from shotstream.serving.library import Library, Published
from shotstream.serving.protocol import NO_FILM
from shotstream.serving.routes import picture_of
from shotstream.serving.security import MAX_JSON, VIDEOS
from shotstream.serving.session import RefusedError
from shotstream.serving.studio import Studio

PREFIX = "video_"  # and the id of the film
TICKET = "video.json"  # beside the film's journal
VideoId = Annotated[str, InPath(pattern=f"^{PREFIX}[0-9a-f]{{12}}$")]
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
MOST_FIELDS = 20
BODY = {"schema": AskedVideo.model_json_schema()}
ASKED = {"requestBody": {"required": True, "content": dict.fromkeys(("application/json", *FORMS), BODY)}}


class Ticket(Config):
    """What was asked for. ``at``: seconds since 1970; ``frames``: that were asked for."""

    prompt: str
    model: str
    at: float
    frames: int


class VideoError(Config):
    """Why a video is not made."""

    code: str
    message: str


class Video(Config):
    """A video as OpenAI's clients read it. Times in seconds since 1970; ``progress``: percent of its frames."""

    id: str
    object: Literal["video"] = "video"
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: None = None
    model: str
    prompt: str
    seconds: str
    size: str
    error: VideoError | None
    remixed_from_video_id: None = None


class VideoList(Config):
    """A page of videos; ``last_id`` is the ``after`` of the next."""

    object: Literal["list"] = "list"
    data: tuple[Video, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Config):
    """The video is gone."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


def video_routes(app_state: AppState) -> APIRouter:
    """All of /v1/videos."""
    api = APIRouter(prefix=VIDEOS, responses={"4XX": {"model": ApiProblem}, "5XX": {"model": ApiProblem}})
    library = app_state.library

    @api.post("", summary="Ask for a video", openapi_extra=ASKED)
    async def create(request: Request) -> Video:
        asked, film = await _asked(request), library.new_id()
        await begin_video(app_state, asked, request.client.host if request.client else "", film)
        return await run_in_threadpool(_video, library, film)

    @api.get("", summary="The videos that were asked for")
    async def listed(
        after: Annotated[str, Query(max_length=80)] | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> VideoList:
        return await run_in_threadpool(_page, library, after, limit, order)

    @api.get("/{id}", summary="How far a video is; one that a restart has interrupted goes on")
    async def one(id: VideoId) -> Video:
        return await _looked_at(app_state, id)

    @api.get("/{id}/content", response_class=Response, summary="The video as MP4, or a picture of it as JPEG")
    async def content(id: VideoId, variant: Literal["video", "thumbnail"] = "video") -> Response:
        video = await _looked_at(app_state, id)
        if video.status != "completed":
            raise InputError(f"the video is {video.status} ({video.progress} %); ask again when it is completed")
        if variant == "thumbnail":
            return Response(await run_in_threadpool(picture_of, library, _film(id)), media_type="image/jpeg")
        return await whole_mp4(app_state, _film(id))

    @api.delete("/{id}", summary="Remove a video for good; one that is being made is given up")
    async def delete(id: VideoId) -> Deleted:
        await run_in_threadpool(_ticket, library, _film(id))
        await app_state.ask(lambda studio: studio.delete(_film(id)))
        return Deleted(id=id)

    return api


async def _asked(request: Request) -> AskedVideo:
    """The fields of ``request``, sent as a form or as JSON. Raises :class:`RefusedError`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind in FORMS:
            async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=MAX_JSON) as form:
                return AskedVideo.model_validate(dict(form))
        return AskedVideo.model_validate_json(await request.body())
    except ClientDisconnect as fault:
        raise RefusedError("malformed", "the request did not come whole; send it again") from fault
    except ValidationError as fault:
        said = first_fault(fault, "the body", AskedVideo)
        raise RefusedError("malformed", said[:300]) from fault


async def begin_video(app_state: AppState, asked: AskedVideo, client: str, film: str) -> Ticket:
    """Let ``film``, a new id, be made for ``client``. Raises :class:`InputError`, :class:`RefusedError`,
    :class:`StorageError`."""
    geometry, model = app_state.geometry, app_state.model.name
    story = (await run_in_threadpool(asked.story, model, geometry)).finite("prompt")
    frames = sum(geometry.shot_frames(shot.blocks(geometry)) for shot in story.shots)

    def begin(studio: Studio) -> Ticket:
        session = studio.open_story(story, client, film)
        folder = studio.library.folder(film)
        ticket = Ticket(prompt=asked.prompt, model=model, at=last_change(folder), frames=frames)
        write_text(folder / TICKET, ticket.model_dump_json())
        session.announce()
        return ticket

    return await app_state.ask(begin)


async def _looked_at(app_state: AppState, id: str) -> Video:
    """The video ``id``; its film is opened, and goes on, if it is not whole. Raises :class:`RefusedError`."""
    video = await run_in_threadpool(_video, app_state.library, _film(id))
    if video.status == "completed" or _film(id) in app_state.library.published:
        return video
    await app_state.read(_film(id))
    return await run_in_threadpool(_video, app_state.library, _film(id))


def _film(id: str) -> str:
    return id.removeprefix(PREFIX)


def _ticket(library: Library, film: str) -> Ticket:
    """Raises :class:`RefusedError` for a film that is none, or that was not asked for here."""
    try:
        if library.has(film):
            return Ticket.model_validate_json((library.folder(film) / TICKET).read_bytes())
    except FileNotFoundError:
        pass
    raise RefusedError(NO_FILM, "there is no such video")


def _video(library: Library, film: str) -> Video:
    """The video as it stands, its film open or not."""
    ticket, published = _ticket(library, film), library.published.get(film)
    record = peek(library.folder(film)) if published is None else published.record
    made = [shot.choice for shot in record.shots if shot.choice is not None]
    frames = sum(len(take.shown) for take in made)
    done = 0 < len(made) == len(record.shots)
    running = 0 if published is None else _running(published)
    fault = "" if published is None or done else published.fault
    status: Literal["queued", "in_progress", "completed", "failed"] = "in_progress" if made or running else "queued"
    if done or fault:
        status = "completed" if done else "failed"
    return Video(
        id=PREFIX + film,
        status=status,
        progress=100 if done else min(99, 100 * (frames + running) // max(1, ticket.frames)),
        created_at=int(ticket.at),
        completed_at=int(last_change(library.folder(film))) if done else None,
        model=ticket.model,
        prompt=ticket.prompt,
        seconds=f"{(frames if done else ticket.frames) / record.fps:g}",
        size=f"{record.width}x{record.height}",
        error=VideoError(code="take_failed", message=fault) if fault else None,
    )


def _running(published: Published) -> int:
    """Frames of the take that is being made."""
    view = published.view
    return sum(take.frames for shot in view.shots for take in shot.takes if take.id == view.running)


def _page(library: Library, after: str | None, limit: int, order: str) -> VideoList:
    films = {path.parent.name: _at(library, path.parent.name) for path in library.root.glob(f"*/{TICKET}")}
    ids = [id for id, at in sorted(films.items(), key=lambda one: (one[1] or 0, one[0])) if at is not None]
    if order == "desc":
        ids.reverse()
    if after is not None and _film(after) not in ids:
        raise InputError("after: there is no such video; give the last_id of a page")
    rest = ids if after is None else ids[ids.index(_film(after)) + 1 :]
    found: list[Video] = []
    for id in rest[:limit]:
        try:
            found.append(_video(library, id))
        except (InputError, StorageError, RefusedError):
            continue  # a damaged film says so when it is asked for; the list goes on
    names = [one.id for one in found]
    first, last = (names[0], names[-1]) if names else (None, None)
    return VideoList(data=tuple(found), first_id=first, last_id=last, has_more=len(rest) > limit)


def _at(library: Library, film: str) -> float | None:
    """When the video was asked for; None: it is none any more."""
    try:
        return _ticket(library, film).at
    except (RefusedError, ValidationError, OSError):
        return None
