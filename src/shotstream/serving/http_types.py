"""What only the HTTP API says; all else it shares with the live socket (:mod:`shotstream.serving.protocol`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.story import MAX_CAPTION, Seed
from shotstream.serving.wire_types import MAX_PROMPT, Prompt


class Problem(Config):
    """What every request that is refused is answered with. ``code``: why, in one word (docs/protocol.md)."""

    code: str
    text: str


class NewFilm(Config):
    """A film to begin."""

    global_caption: Prompt
    seed: Seed = 0


class CheckText(Config):
    """A caption being typed; ``previous``: that of the shot before it."""

    text: Annotated[str, Field(max_length=MAX_PROMPT)]
    previous: Annotated[str, Field(max_length=MAX_CAPTION)] | None = None


class Draft(Config):
    """A caption that may be the next shot's."""

    caption: Prompt


class Clean(Config):
    """What is to go: with ``unchosen``, takes that no branch has chosen, too."""

    unchosen: bool = False


class Cleaned(Config):
    """Bytes that are free now."""

    bytes: int


class Listed(Config):
    """One film of the list; ``changed``: seconds since 1970."""

    id: str
    global_caption: str
    shots: int
    changed: float
