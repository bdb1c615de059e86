"""The HTTP API under /api: films, commands, frames, help with writing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import Story
from shotstream.core.words import WORD, plain
from shotstream.film.disk.folder import peek, takes_of
from shotstream.film.disk.own_material import ClipPart
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import TakeRecord
from shotstream.media.prompt_formats.rewriting import without_count
from shotstream.media.script_writer import ChatModel, write_story
from shotstream.media.story_check import reads_as_cut
from shotstream.media.story_file import parse_story
from shotstream.serving.app_state import AppState
from shotstream.serving.broadcaster import Outbox, PendingBlock
from shotstream.serving.client_messages import AnyCommand, Prompt, Seconds, Shoot
from shotstream.serving.exports import Id, add_exports
from shotstream.serving.frames import Picture, jpeg, pack
from shotstream.serving.http_types import (
    CheckText,
    Clean,
    Cleaned,
    Draft,
    FilmName,
    Idea,
    NewFilm,
    PinnedPicture,
    Placed,
    Script,
    ScriptShot,
    ScriptText,
    UnknownWord,
    Words,
    Writer,
)
from shotstream.serving.library import FilmSummary, Library, Published
from shotstream.serving.protocol import MAX_QUEUE, Applied, FilmView, ModelView, schema
from shotstream.serving.security import UPLOADS
from shotstream.serving.session import RefusedError
from shotstream.serving.uploads import Uploads

Number = Annotated[int, InPath(ge=0, le=1_000_000)]
Moment = Annotated[float, Query(ge=0, allow_inf_nan=False)]
AtShot = Annotated[int, Query(ge=0, le=1_000_000)]
FileName = Annotated[str, Query(min_length=1, max_length=300)]
BOUNDARY = "shotstream-frame"
NEAR = 0.7  # how alike a word must be to be offered
MOST_WRITTEN = 2  # scripts that a chat model writes at once
log = logging.getLogger(__name__)


def routes(app_state: AppState) -> APIRouter:
    """All of /api."""
    api = APIRouter(prefix="/api")
    add_library(api, app_state)
    uploads = Uploads(app_state)
    _add_films(api, app_state, uploads)
    add_writing_help(api, app_state)
    add_writer(api, app_state)
    add_exports(api, app_state, uploads)
    _add_frames(api, app_state)
    _add_live(api, app_state)
    return api


def _add_films(api: APIRouter, app_state: AppState, uploads: Uploads) -> None:
    @api.get("/model", summary="The model, and whether it is ready")
    async def model() -> ModelView:
        return app_state.model

    @api.get("/protocol", summary="JSON Schema of the live socket's messages")
    async def protocol() -> dict[str, Any]:
        return schema()

    @api.post("/films", status_code=201, summary="Begin a film")
    async def create(new: NewFilm) -> FilmView:
        return await app_state.ask(
            lambda studio: studio.create(new.global_caption, new.seed, new.context_policy).view()
        )

    @api.get("/films/{id}", summary="A film as it stands")
    async def film(id: Id) -> FilmView:
        return (await app_state.read(id)).view

    @api.post("/films/{id}/ahead", status_code=204, summary="Read a caption that may come next: its shot starts sooner")
    async def ahead(id: Id, draft: Draft) -> None:
        await app_state.ask(lambda studio: studio.read_ahead(id, draft.caption))

    @api.post("/films/{id}/shots", status_code=202, summary="Queue a shot at the film's end")
    async def shoot(request: Request, id: Id, shot: Shoot) -> Applied:
        return await _done(app_state, request, id, shot)

    @api.post("/films/{id}/commands", status_code=202, summary="Any command of the live socket")
    async def command(request: Request, id: Id, command: AnyCommand) -> Applied:
        return await _done(app_state, request, id, command)

    @api.post("/films/{id}/clean", summary="Forget what undo would need, and remove footage that is in no branch")
    async def clean(id: Id, what: Clean) -> Cleaned:
        freed = await app_state.ask(lambda studio: studio.session(id).clean(unchosen=what.unchosen))
        return Cleaned(bytes=freed)

    @api.post(UPLOADS.removeprefix("/api"), status_code=201, summary="Open a film file or a story, sent as the body")
    async def opened(request: Request) -> FilmView:
        return await uploads.open(request)

    @api.post("/films/{id}/clips", status_code=201, summary="Put a clip or picture of one's own, sent as the body, in")
    async def place(
        request: Request,
        id: Id,
        caption: Annotated[list[Prompt], Query(max_length=MAX_QUEUE)],
        name: FileName = "the file",
        at: AtShot | None = None,
        start: Moment = 0.0,
        stop: Moment | None = None,
        seconds: Seconds | None = None,
        cuts: bool = True,
    ) -> Placed:
        part = ClipPart(start=start, stop=stop, seconds=seconds, cuts=cuts)
        return Placed(takes=await uploads.place(request, id, name, caption, at, part))

    @api.post("/films/{id}/references", status_code=201, summary="Pin a reference image, sent as the body")
    async def pin(request: Request, id: Id, caption: Prompt, name: FileName = "the file") -> PinnedPicture:
        return PinnedPicture(picture=await uploads.pin(request, id, name, caption))


def _add_frames(api: APIRouter, app_state: AppState) -> None:
    @api.get("/films/{id}/takes/{take}/frames", response_class=Response, summary="All frames of a made take")
    async def frames(id: Id, take: Number) -> Response:
        film = await app_state.read(id)
        found = await run_in_threadpool(_made, film, take)
        kind = "application/octet-stream"
        kept = {"cache-control": "private, max-age=3600"}
        return StreamingResponse(_packed(film, *found), media_type=kind, headers=kept)

    @api.get("/films/{id}/takes/{take}/frames/{frame}", response_class=Response, summary="One frame as a JPEG")
    async def still(id: Id, take: Number, frame: Number) -> Response:
        film = await app_state.read(id)
        data = await run_in_threadpool(_still, film, take, frame)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


def _add_live(api: APIRouter, app_state: AppState) -> None:
    @api.get("/films/{id}/stream", response_class=StreamingResponse, summary="Frames as they are made, as MJPEG")
    async def stream(id: Id) -> StreamingResponse:
        await app_state.read(id)
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return StreamingResponse(_parts(app_state, id), media_type=kind)


async def _done(app_state: AppState, request: Request, id: str, command: Any) -> Applied:
    client = request.client.host if request.client else ""
    return await app_state.ask(lambda studio: studio.command(id, command, client))


async def _parts(app_state: AppState, id: str) -> AsyncIterator[bytes]:
    outbox = Outbox()
    app_state.broadcaster.join(id, outbox)
    try:
        while True:
            message = await outbox.get()
            if isinstance(message, PendingBlock):
                for picture in (await message.finished()).pictures:
                    head = f"--{BOUNDARY}\r\ncontent-type: image/jpeg\r\ncontent-length: {len(picture.data)}\r\n\r\n"
                    yield head.encode() + picture.data + b"\r\n"
    finally:
        app_state.broadcaster.leave(id, outbox)


def _made(film: Published, id: int) -> tuple[int, TakeRecord]:
    """Shot and made take with this id, or shot 0 and the reference image with it. Raises :class:`InputError`."""
    picture = next((one.picture for one in film.record.references if one.picture.id == id), None)
    if picture is not None:
        return 0, picture
    shot, take = film.record.find(id)
    if take.state == "planned":
        raise InputError(f"take {id} has no frames yet")
    return shot, take


def _packed(film: Published, shot: int, take: TakeRecord) -> Iterator[bytes]:
    """All pictures of a take, one decoded and encoded after the other as they are sent."""
    for frame, pixels in enumerate(film.store.stream(take)):
        yield pack(Picture(take.id, frame, shot, jpeg(pixels)))


def _still(film: Published, id: int, frame: int) -> bytes:
    _, take = _made(film, id)
    if frame >= take.frames:
        raise InputError(f"take {id} has {take.frames} frames, counted from 0")
    return jpeg(film.store.frames(take, [frame])[0])


def add_library(api: APIRouter, app_state: AppState) -> None:
    """The routes of the library. None but ``delete`` opens or closes a film."""

    @api.get("/films", summary="All films, the latest first")
    async def films() -> list[FilmSummary]:
        return await run_in_threadpool(app_state.library.entries)

    @api.get("/films/{id}/picture", response_class=Response, summary="A picture of the film's first made shot")
    async def picture(id: Id) -> Response:
        data = await run_in_threadpool(picture_of, app_state.library, id)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @api.post("/films/{id}/name", status_code=204, summary="Give a film a name; blank: none")
    async def rename(id: Id, name: FilmName) -> None:
        await app_state.ask(lambda studio: studio.rename(id, name.name))

    @api.post("/films/{id}/copy", status_code=201, summary="A copy of a film, with its history; returns it")
    async def copy(id: Id) -> FilmSummary:
        return await app_state.ask(lambda studio: studio.copy(id))

    @api.delete("/films/{id}", status_code=204, summary="Remove a film and all its takes, for good")
    async def delete(id: Id) -> None:
        await app_state.ask(lambda studio: studio.delete(id))


def picture_of(library: Library, id: str) -> bytes:
    """A JPEG of the middle of the first made shot of film ``id``. Raises :class:`InputError` if there is none."""
    folder = library.folder(id)
    record = peek(folder)
    take = next((shot.choice for shot in record.shots if shot.choice is not None), None)
    if take is None:
        raise InputError("nothing of the film is made yet")
    middle = take.shown[len(take.shown) // 2]
    return jpeg(TakeStore.of(record, takes_of(folder)).frames(take, [middle])[0])


def add_writing_help(api: APIRouter, app_state: AppState) -> None:
    """The routes that the page asks while somebody types."""

    @api.get("/words", summary="Every word the model knows")
    async def words() -> list[str]:
        return sorted(app_state.known_words)

    @api.post("/check", summary="Words of a text the model does not know or read, and whether it reads as a cut")
    async def check(text: CheckText) -> Words:
        found = await run_in_threadpool(unknown_in, text.text, app_state.known_words)
        lost = await run_in_threadpool(app_state.lost_words, text.story, text.text)
        return Words(unknown=found, lost=tuple(lost), hint=cut_hint(text.previous, text.text))

    @api.post("/script", summary="The shots of a script in any format that stories are read in")
    async def script(script: ScriptText) -> Script:
        told: list[str] = []
        story = await run_in_threadpool(lambda: parse_story(script.text, "the text", tell=told.append))
        return script_of(story, told)


def add_writer(api: APIRouter, app_state: AppState) -> None:
    """A chat model writes for whoever has an idea, if the studio was given one."""
    under_way = 0

    @api.get("/writer", summary="The chat model that writes scripts from ideas, if there is one")
    async def writer() -> Writer:
        return Writer(name="" if app_state.writer is None else app_state.writer.name)

    @api.post("/write", summary="A script that the chat model writes from an idea; may take minutes")
    async def write(asked: Idea) -> Script:
        nonlocal under_way
        if app_state.writer is None:
            raise InputError("no chat model writes here; start the studio with --endpoint and --writer")
        if under_way >= MOST_WRITTEN:
            raise RefusedError("busy", f"{MOST_WRITTEN} scripts are being written; try again in a moment")
        under_way += 1
        try:
            return await run_in_threadpool(written_by, app_state.writer, asked, app_state.known_words)
        finally:
            under_way -= 1


def written_by(writer: ChatModel, asked: Idea, words: frozenset[str]) -> Script:
    """The script that ``writer`` makes of an idea. Raises :class:`InputError`, :class:`RefusedError`."""
    told: list[str] = []
    known = f"\n\nThe global caption is this already; the shots are of it: {asked.story}" if asked.story.strip() else ""
    try:
        story = write_story(
            asked.idea + known,
            writer.endpoint,
            writer.name,
            shots=asked.shots,
            words=words,
            key=writer.key,
            tell=told.append,
        )
    except StorageError as fault:  # where it is asked is nobody's business
        log.warning("the chat model that writes: %s", fault)
        raise RefusedError(
            "not_ready", f"{writer.name} does not answer as it should; the studio's log says why"
        ) from fault
    return script_of(story, told)


def script_of(story: Story, told: Sequence[str]) -> Script:
    """``story`` as captions to be edited and shot one by one: what takes over in mid-shot is a shot of its own then."""
    shots, changes = [], 0
    for shot in story.shots:
        later = shot.changes or ()
        changes += len(later)
        moments = [0.0, *(change.seconds for change in later), shot.seconds]
        for caption, (start, end) in zip(
            [shot.caption, *(one.caption for one in later)], pairwise(moments), strict=True
        ):
            shots.append(ScriptShot(caption=caption, seconds=None if start is None or end is None else end - start))
    if story.files:
        told = [*told, "Its clips and pictures are left out: put the files in by themselves."]
    if story.shots[-1].endless:
        told = [*told, "Its last shot is endless: choose *until cut* as the length of that one."]
    if changes:
        told = [
            *told,
            f"{changes} captions of it take over in mid-shot; here each is a shot. Open it as a file instead.",
        ]
    spoken = without_count(story.global_caption)
    if not spoken:  # what stood in for it is no story to begin a film with
        told = [one for one in told if story.global_caption not in one]
    return Script(global_caption=spoken, shots=tuple(shots), told=tuple(told))


def unknown_in(text: str, known: frozenset[str]) -> tuple[UnknownWord, ...]:
    """Every word of ``text`` that is not ``known``, with up to three that are like it. Nothing is unknown to a model
    that reads any word (``known`` is empty)."""
    if not known:
        return ()
    found = []
    for match in WORD.finditer(text):
        word = plain(match[0].lower())
        if word not in known:
            near = get_close_matches(word, known, n=3, cutoff=NEAR)
            found.append(UnknownWord(start=match.start(), stop=match.end(), instead=tuple(near)))
    return tuple(found)


def cut_hint(previous: str | None, text: str) -> str:
    """What a person should know before ``text`` follows the shot ``previous``; blank if nothing."""
    if previous is None or not text.strip() or reads_as_cut(previous, text):
        return ""
    return "Nearly the same as the last shot: the cut may not read. Change the framing, the place or who is seen."
