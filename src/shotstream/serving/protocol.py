"""The wire: every message between page and studio, typed and versioned. docs/protocol.md is written from this file.

Text frames are JSON, one message each; binary frames are pictures (:mod:`shotstream.serving.frames`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from shotstream.core.config import Config, first_fault
from shotstream.serving.edit_commands import EditCommand
from shotstream.serving.wire_types import (
    MAX_PROMPT,
    FilmId,
    Index,
    Message,
    PictureKind,
    PictureKinds,
    Prompt,
    Seconds,
    SeedNumber,
)

VERSION = 1
MAX_MESSAGE = 16 * 1024  # characters of one message
MAX_QUEUE = 50  # planned takes of one film


class Hello(Message):
    """The first message: which film, which protocol the client speaks, and which kinds of pictures it can show.

    Every client can show ``jpeg``, said or not.
    """

    type: Literal["hello"] = "hello"
    version: int
    film: FilmId
    pictures: PictureKinds = ("jpeg",)


class Show(Message):
    """From now on the client can show these kinds of pictures."""

    type: Literal["show"] = "show"
    pictures: PictureKinds


class Shoot(Message):
    """Plan a shot at the film's end. ``seconds``: None is the preset's usual length."""

    type: Literal["shoot"] = "shoot"
    caption: Prompt
    seconds: Seconds | None = None
    seed: SeedNumber | None = None


class Cut(Message):
    """End the running shot with the blocks it has."""

    type: Literal["cut"] = "cut"


class Extend(Message):
    """Let the running shot go on for ``blocks`` more."""

    type: Literal["extend"] = "extend"
    blocks: Annotated[int, Field(strict=True, ge=1, le=100)] = 1


class Change(Message):
    """From the next block on, make the running shot under another caption."""

    type: Literal["change"] = "change"
    caption: Prompt


class Retake(Message):
    """Another take of a made shot."""

    type: Literal["retake"] = "retake"
    shot: Index
    seed: SeedNumber | None = None


class Remake(Message):
    """The chosen take of a stale shot again: its own noise, under what the film is now."""

    type: Literal["remake"] = "remake"
    shot: Index


class Choose(Message):
    """Put the take with this id into the film."""

    type: Literal["choose"] = "choose"
    shot: Index
    take: Index


class Remove(Message):
    """Take a planned take out of the queue."""

    type: Literal["remove"] = "remove"
    take: Index


class Stop(Message):
    """End the running shot now and make nothing more until ``resume``."""

    type: Literal["stop"] = "stop"


class Resume(Message):
    """Go on with the queue."""

    type: Literal["resume"] = "resume"


class Position(Message):
    """Where the viewer stands: frame ``frame`` of take ``take``. Kept for the next visit."""

    type: Literal["position"] = "position"
    take: Index
    frame: Index


Command = Shoot | Cut | Extend | Change | Retake | Remake | Choose | Remove | Stop | Resume | Position | EditCommand
ClientMessage = Annotated[Hello | Show | Command, Field(discriminator="type")]
AnyCommand = Annotated[Command, Field(discriminator="type")]

RefusalCode = Literal[
    "malformed",
    "too_large",
    "too_fast",
    "hello_first",
    "hello_twice",
    "wrong_version",
    "no_such_film",
    "not_ready",
    "busy",
    "queue_full",
    "nothing_running",
    "refused",
    "storage",
    "closed",
]


class Refused(Config):
    """A message that changed nothing, and why."""

    type: Literal["refused"] = "refused"
    ref: int = 0
    code: RefusalCode
    text: str


class Accepted(Config):
    """A command that is done and on the disk. ``take``: the take it is about."""

    type: Literal["accepted"] = "accepted"
    ref: int
    take: int | None = None


class ModelView(Config):
    """The model at work, and where it stands: while it warms up, speeds say nothing."""

    name: str = ""
    version: str = ""
    state: Literal["loading", "warming", "ready", "stopped"] = "loading"
    fault: str = ""


class Point(Config):
    """A frame of a take."""

    take: int
    frame: int


class TakeView(Config):
    """One take. ``saw``: the frames that conditioned it."""

    id: int
    state: Literal["planned", "running", "finished", "cut"]
    frames: int
    seed: int
    saw: tuple[Point, ...]
    changes: tuple[str, ...]


class ShotView(Config):
    """One shot with its takes. ``stale``: the chosen take saw frames that are no longer in the film."""

    caption: str
    seconds: float
    takes: tuple[TakeView, ...]
    chosen: int | None
    stale: bool
    locked: bool


class BranchView(Config):
    """One way the film goes. ``shared``: how many of its first shots show the same as those of the one it is on."""

    name: str
    shots: int
    shared: int


class FilmView(Config):
    """A film as it stands; sent whole at every change. ``queue``: planned takes, in order.

    ``branch``: the one the film is on, among ``branches``. ``undo``, ``redo``: the kind of event these would take
    back or bring back (``insert``, ``plan``, ``move``, ...).
    """

    type: Literal["film"] = "film"
    id: str
    global_caption: str
    seed: int
    width: int
    height: int
    fps: int
    shots: tuple[ShotView, ...]
    queue: tuple[int, ...]
    running: int | None
    paused: bool
    position: Point | None
    branch: str
    branches: tuple[BranchView, ...]
    undo: str | None
    redo: str | None


class Pictures(Config):
    """How this viewer gets live pictures. ``mime``: what ``MediaSource.isTypeSupported`` is asked for, with mp4."""

    kind: PictureKind
    mime: str | None = None


class Shown(Config):
    """The answer to ``show``."""

    type: Literal["shown"] = "shown"
    ref: int
    pictures: Pictures


class Welcome(Config):
    """The answer to hello. ``lengths``: the seconds a shot can have."""

    type: Literal["welcome"] = "welcome"
    version: int = VERSION
    model: ModelView
    film: FilmView
    pictures: Pictures
    lengths: tuple[float, ...]
    usual_length: float
    max_prompt: int = MAX_PROMPT


class ModelChanged(Config):
    """The model is somewhere else in its life."""

    type: Literal["model"] = "model"
    model: ModelView


class Meters(Config):
    """What was measured of the film being made. ``fps``: frames made a second; they are encoded beside it, and where
    that is slower, waiting for it counts.

    ``first_frame_seconds``: of the last shot, from its command (or the end of the shot before it, if that came
    later) to its first picture, encoded. ``dropped``: frames this viewer did not get because they were late.
    """

    type: Literal["meters"] = "meters"
    fps: float | None = None
    first_frame_seconds: float | None = None
    queue: int = 0
    dropped: int = 0


class Notice(Config):
    """Something a person should know. ``position``: in the queue for a seat, with ``waiting``; 1 is next."""

    type: Literal["notice"] = "notice"
    code: Literal["take_failed", "worker_restarted", "repaired", "waiting", "moved"]
    text: str
    position: int | None = None


ServerMessage = Welcome | Shown | FilmView | ModelChanged | Meters | Accepted | Refused | Notice
_CLIENT: TypeAdapter[Hello | Show | Command] = TypeAdapter(ClientMessage)


def parse(text: str) -> Hello | Show | Command | Refused:
    """The client message in ``text``, or why it is none."""
    if len(text) > MAX_MESSAGE:
        return Refused(code="too_large", text=f"a message has at most {MAX_MESSAGE} characters")
    try:
        return _CLIENT.validate_json(text)
    except ValidationError as fault:
        return Refused(code="malformed", text=first_fault(fault, "message")[:300])


def schema() -> dict[str, Any]:
    """JSON Schema of both directions."""
    server: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])
    return {
        "version": VERSION,
        "client": _CLIENT.json_schema(),
        "server": server.json_schema(mode="serialization"),
    }
