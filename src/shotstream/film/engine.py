"""What a film asks of the model. :class:`shotstream.film.director.Director` answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shotstream.core.context_budget import ContextFrame
from shotstream.core.geometry import Geometry
from shotstream.sampling.context import FinishedShot
from shotstream.sampling.director import Block, ShotPlan
from shotstream.sampling.streaming import StreamingShot


class Engine(Protocol):
    """A model at work. It keeps nothing between shots that would change a picture."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def model_name(self) -> str: ...

    @property
    def model_version(self) -> str: ...

    def remembers(self, past: Sequence[FinishedShot], prompt: str) -> tuple[ContextFrame, ...]:
        """Which frames of ``past`` condition the shot ``prompt`` that follows, oldest first."""

    def caption_in_memory(self, prompt: str) -> str:
        """The caption that condition frames of the shot ``prompt`` read; empty if each reads its own shot's."""

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        """Recall ``past`` before the next shot is asked for. What it depends on is what :meth:`remembers` and
        :meth:`caption_in_memory` answer."""

    def read_ahead(self, prompt: str) -> None:
        """Read the prompt of a shot that may come next. It changes nothing but how soon that shot starts."""

    def make(
        self, plan: ShotPlan, past: Sequence[FinishedShot], prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """The blocks of one shot, as they are made. Equal plans after equal pasts give equal frames, to the bit.

        The plan's prompt and length may change between blocks. ``prepared``, for the same past, is used up.
        """
