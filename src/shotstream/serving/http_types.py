"""Types of the HTTP API that the live protocol (:mod:`shotstream.serving.protocol`) does not have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.context_budget import PolicyName
from shotstream.core.story import MAX_CAPTION, Seed
from shotstream.serving.client_messages import MAX_PROMPT, Prompt
from shotstream.serving.protocol import MAX_QUEUE

MAX_NAME = 80  # characters
MAX_SCRIPT = 100_000  # characters of a script that is pasted


class Problem(Config):
    """What every request that is refused is answered with. ``code``: why, in one word (docs/protocol.md)."""

    code: str
    text: str


class ApiFault(Config):
    """What OpenAI's clients read of a refusal."""

    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str


class ApiProblem(Config):
    """What every request under /v1 that is refused is answered with, as OpenAI's clients expect it."""

    error: ApiFault


def problem_of(path: str, code: str, text: str) -> Problem | ApiProblem:
    """A refusal in the form of the API that ``path`` belongs to."""
    if path.startswith("/v1/"):
        return ApiProblem(error=ApiFault(message=text, code=code))
    return Problem(code=code, text=text)


class NewFilm(Config):
    """A film to begin. ``context_policy``: what chooses condition frames; None: the model's own."""

    global_caption: Prompt
    seed: Seed = 0
    context_policy: PolicyName | None = None


class FilmName(Config):
    """What a film is called; blank: by its story."""

    name: Annotated[str, Field(max_length=MAX_NAME)]


class CheckText(Config):
    """A caption being typed; ``story``: the film's; ``previous``: that of the shot before it."""

    text: Annotated[str, Field(max_length=MAX_PROMPT)]
    story: Annotated[str, Field(max_length=MAX_CAPTION)] = ""
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


class UnknownWord(Config):
    """Characters ``start`` to ``stop`` of the text, and words the model knows instead."""

    start: int
    stop: int
    instead: tuple[str, ...]


class Words(Config):
    """What is to be said of a text. ``lost``: words the model does not read, as story and caption are too long for it;
    ``hint``: what a person should know before shooting; blank if nothing."""

    unknown: tuple[UnknownWord, ...]
    lost: tuple[str, ...]
    hint: str


class ScriptText(Config):
    """A script as somebody else wrote it."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_SCRIPT)]


class ScriptShot(Config):
    """One of its shots; ``seconds``: None is the preset's usual length."""

    caption: str
    seconds: float | None


class Script(Config):
    """What a script says. ``global_caption``: blank if it has none. ``told``: what it asks for that a story cannot say,
    in sentences."""

    global_caption: str
    shots: tuple[ScriptShot, ...]
    told: tuple[str, ...]


class Writer(Config):
    """The chat model that writes scripts from ideas, by its name; blank: there is none."""

    name: str


class Idea(Config):
    """What a film is about, or how it goes on. ``story``: its global caption, if there is one already."""

    idea: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT, pattern=r"\S")]
    shots: Annotated[int, Field(ge=1, le=MAX_QUEUE)] = 6
    story: Annotated[str, Field(max_length=MAX_CAPTION)] = ""


class Placed(Config):
    """The takes that a clip of one's own became, in order."""

    takes: tuple[int, ...]


class PinnedPicture(Config):
    """The id of a picture that was pinned, by which it can be seen and let go."""

    picture: int
