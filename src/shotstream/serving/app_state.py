"""What every request needs (worker, broadcaster, clock), and how errors become refusals."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shotstream.core.errors import InputError, StorageError
from shotstream.core.geometry import Geometry
from shotstream.film.disk.folder import OpenElsewhereError
from shotstream.media.script_writer import ChatModel
from shotstream.serving.broadcaster import Broadcaster
from shotstream.serving.frames import PictureRule
from shotstream.serving.library import Library, Published
from shotstream.serving.protocol import ModelView, RefusalCode, Refused
from shotstream.serving.session import Clock, RefusedError
from shotstream.serving.studio import Studio
from shotstream.serving.worker import Worker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AppState:
    """Made once per application. ``writer``: the chat model that writes scripts from ideas, if there is one."""

    library: Library
    broadcaster: Broadcaster
    worker: Worker
    clock: Clock
    rule: PictureRule
    writer: ChatModel | None = None

    async def ask(self, job: Callable[[Studio], T]) -> T:
        """What ``job`` answers in the worker's thread. Raises :class:`RefusedError`, and what the job raises."""
        return await asyncio.wrap_future(self.worker.submit(job))

    async def read(self, id: str) -> Published:
        """The film ``id`` as it stood last: at once if it is open, else once it is. Raises as :meth:`ask` does."""
        found = self.library.published.get(id)
        if found is None:
            await self.ask(lambda studio: studio.session(id).view())
            found = self.library.published.get(id)
        if found is None:
            raise RefusedError("busy", "the film was closed again just now; try again in a moment")
        return found

    @property
    def model(self) -> ModelView:
        return self.worker.model

    @property
    def geometry(self) -> Geometry:
        """Raises :class:`RefusedError` while there is no model."""
        if self.worker.engine is None:
            raise RefusedError("not_ready", "the model is still being loaded; try again in a moment")
        return self.worker.engine.geometry

    @property
    def known_words(self) -> frozenset[str]:
        return frozenset() if self.worker.engine is None else self.worker.engine.known_words()

    def lost_words(self, global_caption: str, caption: str) -> list[str]:
        """Words of a shot's whole prompt that the model does not read, as it is too long; none before it is loaded."""
        engine = self.worker.engine
        return [] if engine is None else engine.lost_words(engine.prompt(global_caption, caption, 1))


STATUS: dict[RefusalCode, int] = {
    "no_such_film": 404,
    "not_ready": 503,
    "closed": 503,
    "busy": 429,
    "queue_full": 429,
    "nothing_running": 409,
    "refused": 422,
    "storage": 507,
}
_FOLDERS = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")


def refusal(ref: int, fault: Exception) -> Refused:
    """``fault`` as a refusal with a code, without paths of this machine. Raises it again if it was not expected."""
    text = without_folders(str(fault))
    match fault:
        case RefusedError():
            return Refused(ref=ref, code=fault.code, text=text)
        case OpenElsewhereError():
            return Refused(ref=ref, code="busy", text=text)
        case InputError():
            return Refused(ref=ref, code="refused", text=text)
        case StorageError():
            return Refused(ref=ref, code="storage", text=text)
        case _:
            raise fault


def without_folders(text: str) -> str:
    """``text`` with every absolute path in it shortened to its last part."""
    return _FOLDERS.sub("", text)
