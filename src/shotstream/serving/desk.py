"""What every request needs: the worker to ask, the hub to listen to, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shotstream.core.geometry import Geometry
from shotstream.serving.hub import Hub
from shotstream.serving.library import Library
from shotstream.serving.picture_rule import PictureRule
from shotstream.serving.protocol import ModelView
from shotstream.serving.session import Clock, RefusedError
from shotstream.serving.studio import Studio
from shotstream.serving.worker import Worker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once per application."""

    library: Library
    hub: Hub
    worker: Worker
    clock: Clock
    rule: PictureRule

    async def ask(self, job: Callable[[Studio], T]) -> T:
        """What ``job`` answers in the worker's thread. Raises :class:`RefusedError`, and what the job raises."""
        return await asyncio.wrap_future(self.worker.submit(job))

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
