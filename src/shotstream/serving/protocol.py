"""The messages of the live protocol, typed and versioned. docs/protocol.md describes them.

Text frames are JSON, one message each; binary frames are pictures (:mod:`shotstream.serving.frames`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shotstream.core.config import Config, first_fault
from shotstream.core.context_budget import PolicyName
from shotstream.serving.client_messages import MAX_PROMPT, ClientMessage, Command, Hello, Index, PictureKind, Show

VERSION = 1
MAX_MESSAGE = 16 * 1024  # characters of one message
MAX_QUEUE = 50  # queued takes of one film


NO_FILM: Literal["no_such_film"] = "no_such_film"
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
    """A command that was taken in, at once; ``applied`` or ``refused`` follows, as soon as the block under work is
    made."""

    type: Literal["accepted"] = "accepted"
    ref: int


class Applied(Config):
    """A command that is done and on the disk. ``take``: the take it is about. ``block``: of the take that is being
    made, the first block it acts on; None while nothing is made."""

    type: Literal["applied"] = "applied"
    ref: int
    take: int | None = None
    block: int | None = None


class ModelView(Config):
    """The model and its state: while it warms up, speeds mean nothing.

    ``steps``: that blocks are made in, of at most ``most_steps``; None: they are not to be changed.
    ``lora``: the adapters that are loaded, and the weight of each where none is said.
    """

    name: str = ""
    version: str = ""
    state: Literal["loading", "warming", "ready", "stopped"] = "loading"
    fault: str = ""
    steps: int | None = None
    most_steps: int | None = None
    lora: dict[str, float] = Field(default_factory=dict)


class Point(Config):
    """A frame of a take."""

    take: int
    frame: int


class MarkerView(Config):
    """A note at frame ``frame`` of its take."""

    frame: int
    text: str


class TakeView(Config):
    """One take. ``caption``: what it begins with; ``changes``: captions that took over while it ran. ``saw``: the
    frames that conditioned it. ``seconds``: how long it is to be, or is. ``start``, ``stop``: its first frame that is
    in the film, and the one behind the last. ``source``: the file it is from; blank if the model makes it.
    ``lora``: the adapters it was made with; ``version``: of the model, with its steps where they were fewer.
    ``story``: the global caption it was made under, where that is no longer the film's."""

    id: int
    state: Literal["planned", "running", "finished", "cut"]  # planned: queued; clients that exist read this word
    frames: int
    seconds: float
    seed: int
    caption: str
    saw: tuple[Point, ...]
    changes: tuple[str, ...]
    start: int
    stop: int
    markers: tuple[MarkerView, ...]
    source: str
    lora: dict[str, float]
    version: str
    story: str | None = None


class ShotView(Config):
    """One shot with its takes. ``endless``: what is to be made of it goes on until it is cut.

    ``stale``: the chosen take was conditioned on frames that are no longer in the film."""

    caption: str
    seconds: float
    takes: tuple[TakeView, ...]
    chosen: int | None
    stale: bool
    locked: bool
    endless: bool = False


class ReferenceView(Config):
    """A reference image: frame 0 of what ``id`` names among takes. ``name``: what prompts call it."""

    id: int
    name: str
    caption: str


class BranchView(Config):
    """One way the film goes. ``shared``: how many of its first shots show the same as those of the one it is on."""

    name: str
    shots: int
    shared: int


class FilmView(Config):
    """A film as it stands; sent whole at every change. ``queue``: queued takes, in order.

    ``name``: blank if it has none. ``context_policy``: what chooses condition frames; None: the model's own.
    ``branch``: the one the film is on, among ``branches``. ``undo``, ``redo``: the kind of event these would take back
    or bring back (``insert``, ``plan``, ``move``, ...). ``lora``: adapters of takes to come; None: all that are loaded.
    """

    type: Literal["film"] = "film"
    id: str
    name: str
    global_caption: str
    seed: int
    context_policy: PolicyName | None
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
    references: tuple[ReferenceView, ...]
    lora: dict[str, float] | None


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
    """The model's state has changed."""

    type: Literal["model"] = "model"
    model: ModelView


class Meters(Config):
    """What was measured of the film being made. ``fps``: frames made a second; they are encoded beside it, and where
    that is slower, waiting for it counts.

    ``first_frame_seconds``: of the last shot, from its command (or the end of the shot before it, if that came
    later) to its first picture, encoded. ``dropped``: frames this viewer did not get because they were late. ``due``:
    blocks that were to follow others in time while somebody watched; ``underruns``: of these, those that came late, and
    ``stood_seconds``: how long the picture stood still for them.
    """

    type: Literal["meters"] = "meters"
    fps: float | None = None
    first_frame_seconds: float | None = None
    queue: int = 0
    dropped: int = 0
    due: int = 0
    underruns: int = 0
    stood_seconds: float = 0.0


class Notice(Config):
    """Something a person should know. ``position``: in the queue for a seat, with ``waiting``; 1 is next."""

    type: Literal["notice"] = "notice"
    code: Literal["take_failed", "worker_restarted", "repaired", "waiting", "moved"]
    text: str
    position: int | None = None


ServerMessage = Welcome | Shown | FilmView | ModelChanged | Meters | Accepted | Applied | Refused | Notice
_CLIENT: TypeAdapter[Hello | Show | Command] = TypeAdapter(ClientMessage)


class _Numbered(BaseModel):
    """The one field every client message has, whatever else is wrong with it."""

    ref: Index = 0


def parse(text: str) -> Hello | Show | Command | Refused:
    """The client message in ``text``, or why it cannot be read."""
    if len(text) > MAX_MESSAGE:
        return Refused(code="too_large", text=f"a message has at most {MAX_MESSAGE} characters")
    try:
        return _CLIENT.validate_json(text)
    except ValidationError as fault:
        return Refused(ref=_ref_of(text), code="malformed", text=first_fault(fault, "message")[:300])


def _ref_of(text: str) -> int:
    """The number a message that cannot be read wants to be answered by; 0 if it has none."""
    try:
        return _Numbered.model_validate_json(text).ref
    except ValidationError:
        return 0


def schema() -> dict[str, Any]:
    """JSON Schema of both directions."""
    server: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])
    return {
        "version": VERSION,
        "client": _CLIENT.json_schema(),
        "server": server.json_schema(mode="serialization"),
    }
