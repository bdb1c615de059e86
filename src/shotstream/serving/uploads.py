"""Films, stories, clips and pictures sent to the studio: received and checked beside the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from shotstream.core.errors import InputError
from shotstream.core.files import explained
from shotstream.core.story import Story
from shotstream.film.disk.folder import FilmFolder
from shotstream.film.disk.own_material import ClipPart, cut_clip, take_picture
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.film import Film, import_film
from shotstream.film.record.commands import OwnFootage
from shotstream.film.record.film_record import MAX_NAME, FilmRecord
from shotstream.media.story_file import parse_story
from shotstream.serving.app_state import AppState
from shotstream.serving.library import Library
from shotstream.serving.protocol import MAX_QUEUE, FilmView
from shotstream.serving.session import MAX_BLOCKS, RefusedError

MAX_STORY = 128 * 1024  # bytes: fifty shots of a caption as long as the page takes
MOST_UPLOADS = 4  # at once, whoever sends them


Read = Callable[[Path, Path], list[OwnFootage]]  # of a file, into a folder
TakeIn = Callable[[Film, list[OwnFootage]], tuple[int, ...]]


@dataclass(slots=True)
class Uploads:
    """Takes in what is sent to a studio."""

    app_state: AppState
    under_way: int = field(default=0, init=False)

    async def open(self, request: Request) -> FilmView:
        """The film that ``request`` brings, or that comes of the story it brings. What it is called is never asked.

        Raises :class:`InputError`, :class:`RefusedError`, :class:`StorageError`; then nothing is left of it.
        """
        async with self._room(request) as folder:
            client = request.client.host if request.client else ""
            return await self._opened(await _received(request, folder / "film", self.app_state.library), client)

    async def place(
        self, request: Request, id: str, name: str, captions: Sequence[str], at: int | None, part: ClipPart
    ) -> tuple[int, ...]:
        """The clip or picture that ``request`` brings becomes shots of film ``id``; the ids of their takes."""

        name = _plain_name(name)

        def read(path: Path, folder: Path) -> list[OwnFootage]:
            return cut_clip(path, folder, self.app_state.geometry, part)

        def place(film: Film, pieces: list[OwnFootage]) -> tuple[int, ...]:
            return tuple(take.id for take in film.place_footage(name, pieces, captions, at))

        return await self._taken_in(request, id, name, read, place)

    async def pin(self, request: Request, id: str, name: str, caption: str) -> int:
        """The picture that ``request`` brings is pinned in film ``id``; its id."""

        name = _plain_name(name)

        def read(path: Path, folder: Path) -> list[OwnFootage]:
            return [take_picture(path, folder, self.app_state.geometry)]

        def pin(film: Film, pieces: list[OwnFootage]) -> tuple[int, ...]:
            return (film.pin_footage(name, pieces[0], caption).picture.id,)

        return (await self._taken_in(request, id, name, read, pin))[0]

    async def _taken_in(self, request: Request, id: str, name: str, read: Read, take_in: TakeIn) -> tuple[int, ...]:
        """Read what ``request`` brings beside the worker; let the worker take it in. Raises as :meth:`open` does."""
        await self.app_state.read(id)
        async with self._room(request) as folder:
            path = await _received(request, folder / "own", self.app_state.library)
            try:
                pieces = await run_in_threadpool(read, path, folder)
            except InputError as fault:
                raise InputError(str(fault).replace(str(path), name)) from fault
            self.app_state.library.refuse_if_full(sum(piece.file.stat().st_size for piece in pieces))
            return await self.app_state.ask(
                lambda studio: studio.session(id).take_in(lambda film: take_in(film, pieces))
            )

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Path]:
        """The file that ``request`` brings, while the block lasts. Raises :class:`RefusedError`,
        :class:`StorageError`."""
        async with self._room(request) as folder:
            yield await _received(request, folder / "file", self.app_state.library)

    @asynccontextmanager
    async def _room(self, request: Request) -> AsyncIterator[Path]:
        """A folder for what ``request`` brings. Raises :class:`RefusedError`, :class:`StorageError`."""
        if self.under_way >= MOST_UPLOADS:
            raise RefusedError("busy", f"{MOST_UPLOADS} files are being opened; try again in a moment")
        self.under_way += 1
        try:
            library = self.app_state.library
            await run_in_threadpool(library.refuse_if_full, int(request.headers.get("content-length", "0")))
            with ScratchFolder(library.root) as folder:
                yield folder
        finally:
            self.under_way -= 1

    async def _opened(self, path: Path, client: str) -> FilmView:
        try:
            if _begins_as_zip(path):
                kept = await run_in_threadpool(self._imported, path)
                return await self._begun(kept)
            story = await run_in_threadpool(read_small_story, path)
            refuse_unfit(story)
            return await self.app_state.ask(lambda studio: studio.open_story(story, client).view())
        except InputError as fault:
            raise InputError(str(fault).replace(str(path), "the file")) from fault

    def _imported(self, path: Path) -> FilmFolder:
        """A film of its own in the library, not yet open. Any thread."""
        library = self.app_state.library

        def accept(record: FilmRecord, unpacked: int) -> None:
            refuse_beyond_limits(record)
            library.refuse_if_full(unpacked)

        return import_film(path, library.folder(library.new_id()), self.app_state.geometry, accept)

    async def _begun(self, kept: FilmFolder) -> FilmView:
        """Hand it to the worker. Who asked may be gone by now: the film is there, or it is not, but never half."""
        try:
            return await asyncio.shield(self.app_state.ask(lambda studio: studio.adopt(kept).view()))
        except RefusedError:
            await run_in_threadpool(self.app_state.library.discard, kept)
            raise


def refuse_beyond_limits(record: FilmRecord) -> None:
    """Refuse a film that asks for more than could be asked for in the studio. Raises :class:`InputError`."""
    for branch in record.branches:
        planned = [shot.blocks_of(take) for shot in branch.shots for take in shot.queued]
        if len(planned) > MAX_QUEUE:
            raise InputError(f"{len(planned)} of its takes are not made yet; at most {MAX_QUEUE} may wait in a studio")
        if max(planned, default=0) > MAX_BLOCKS:
            raise InputError(f"one of its shots is to have {max(planned)} blocks; a studio makes at most {MAX_BLOCKS}")


def refuse_unfit(story: Story) -> None:
    """Refuse a story that cannot be opened here as it is. Raises :class:`InputError`, :class:`RefusedError`."""
    if story.files:
        raise InputError(f"the story names {story.files[0]}; send its shots and its files one by one")
    if len(story.shots) > MAX_QUEUE:
        raise RefusedError("queue_full", f"a story opened here has at most {MAX_QUEUE} shots")


def read_small_story(path: Path) -> Story:
    """The story in the file, its size looked at before it is read. Raises :class:`InputError`."""
    if path.stat().st_size > MAX_STORY:
        raise InputError(f"neither a film file nor a story; a story has at most {MAX_STORY // 1024} KiB")
    try:
        return parse_story(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise InputError("neither a film file nor a story in UTF-8") from fault


async def _received(request: Request, path: Path, library: Library) -> Path:
    """Write the body to ``path`` as it comes, as far as the films' budget goes."""
    size = 0
    try:
        with explained(path), path.open("wb") as file:
            async for piece in request.stream():
                size += len(piece)
                library.refuse_if_full(size)
                await run_in_threadpool(file.write, piece)
    except ClientDisconnect as fault:
        raise InputError("the file did not come whole; send it again") from fault
    return path


def _plain_name(name: str) -> str:
    """A file's name as it can be shown and kept: of no folder, no sign that is not seen."""
    return "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name)[-MAX_NAME:]


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"
