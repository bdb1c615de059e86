"""What a film needs of a model; :class:`shotstream.film.director.Director` provides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from shotstream.core.context_budget import PolicyName
from shotstream.core.geometry import Geometry
from shotstream.film.record.film_record import LoraUse
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot
from shotstream.sampling.shot_generator import ShotRequest
from shotstream.sampling.streaming import StreamingShot


class Engine(Protocol):
    """A model at work. It keeps nothing between shots that would change a frame."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def model_name(self) -> str: ...

    @property
    def model_version(self) -> str: ...

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        """What the model reads for shot number ``shot`` of a film, counted from 0."""

    def choose_context(
        self, past: Sequence[FinishedShot], prompt: str, policy: PolicyName | None = None
    ) -> ChosenContext:
        """Which frames of ``past`` condition the shot ``prompt`` that follows, and the captions they read.

        policy: how they are chosen; None is the model's own.
        """

    def loras(self) -> Mapping[str, LoraUse]:
        """The LoRA adapters that are loaded, by name, each with the weight it has where none is said."""

    def prepare(self, context: ChosenContext) -> StreamingShot:
        """Encode the condition frames of the next shot before it is asked for."""

    def read_ahead(self, prompt: str) -> None:
        """Encode the prompt of a shot that may come next. It changes nothing but how soon that shot starts."""

    def make(
        self, request: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """The blocks of one shot, as they are made. Equal requests in equal contexts give equal frames, to the bit.

        The request's prompt and length may change between blocks. ``prepared``, of an equal context, is used up.
        """
