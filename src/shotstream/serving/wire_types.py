"""What messages are made of: numbers and texts within bounds, and what every client message has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.story import MAX_SEED

MAX_PROMPT = 2_000  # characters of a caption typed on the page

FilmId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
Index = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
SeedNumber = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
Seconds = Annotated[float, Field(ge=0.3, le=5.5, allow_inf_nan=False)]

PictureKind = Literal["jpeg", "mp4"]
PictureKinds = Annotated[tuple[PictureKind, ...], Field(min_length=1, max_length=8)]


class Message(Config):
    """What every client message has: ``ref`` comes back in the answer."""

    ref: Index = 0
