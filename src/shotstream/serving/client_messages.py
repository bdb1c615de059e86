"""The messages a client may send, with bounds on every number and text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shotstream.core.config import Config
from shotstream.core.context_budget import PolicyName
from shotstream.core.story import MAX_CHANGES, MAX_SECONDS, MAX_SEED, MIN_SECONDS, Blend, Lora, ShotChange

MAX_PROMPT = 2_000  # characters of a caption typed on the page

FilmId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
Index = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
SeedNumber = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
Seconds = Annotated[float, Field(ge=MIN_SECONDS, le=MAX_SECONDS, allow_inf_nan=False)]

Name = Annotated[str, Field(min_length=1, max_length=80)]

PictureKind = Literal["jpeg", "mp4"]
PictureKinds = Annotated[tuple[PictureKind, ...], Field(min_length=1, max_length=8)]


class Message(Config):
    """What every client message has: ``ref`` comes back in the answer."""

    ref: Index = 0


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
    """Queue a shot at the film's end. ``seconds``: None is the preset's usual length. ``changes``: captions that take
    over in its middle. ``lora``: adapters and their weights, by name; None: the film's. ``endless``: it goes on until
    it is cut, or another waits."""

    type: Literal["shoot"] = "shoot"
    caption: Prompt
    seconds: Seconds | None = None
    seed: SeedNumber | None = None
    lora: Lora | None = None
    changes: Annotated[tuple[ShotChange, ...], Field(max_length=MAX_CHANGES)] | None = None
    endless: bool = False


class Cut(Message):
    """End the running shot with the blocks it has."""

    type: Literal["cut"] = "cut"


class Extend(Message):
    """Let the running shot go on for ``blocks`` more."""

    type: Literal["extend"] = "extend"
    blocks: Annotated[int, Field(strict=True, ge=1, le=100)] = 1


class Change(Message):
    """From the next block on, or from the one that holds pixel frame ``frame``, make the running shot under another
    caption, which takes over within ``blend`` seconds."""

    type: Literal["change"] = "change"
    caption: Prompt
    frame: Index | None = None
    blend: Blend | None = None


class Retake(Message):
    """Another take of a made shot; ``caption`` and ``seconds``: None is as the chosen take has them."""

    type: Literal["retake"] = "retake"
    shot: Index
    seed: SeedNumber | None = None
    caption: Prompt | None = None
    seconds: Seconds | None = None
    lora: Lora | None = None


class Remake(Message):
    """The chosen take of a stale shot again, with its own seed, conditioned on the film as it is now."""

    type: Literal["remake"] = "remake"
    shot: Index


class Choose(Message):
    """Put the take with this id into the film."""

    type: Literal["choose"] = "choose"
    shot: Index
    take: Index


class Remove(Message):
    """Take a queued take out of the queue."""

    type: Literal["remove"] = "remove"
    take: Index


class Clear(Message):
    """Take everything that waits out of the queue; one ``undo`` brings it back."""

    type: Literal["clear"] = "clear"


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


class Insert(Message):
    """Queue a new shot before shot ``at``, or at the end."""

    type: Literal["insert"] = "insert"
    at: Index
    caption: Prompt
    seconds: Seconds | None = None
    seed: SeedNumber | None = None
    lora: Lora | None = None


class Revise(Message):
    """Another caption, length or seed for what is still to be made of a shot; None leaves each as it is."""

    type: Literal["revise"] = "revise"
    shot: Index
    caption: Prompt | None = None
    seconds: Seconds | None = None
    seed: SeedNumber | None = None


class Retell(Message):
    """Give the film another global caption; what is made stays, and is stale."""

    type: Literal["retell"] = "retell"
    global_caption: Prompt


class SetContextPolicy(Message):
    """Condition shots to come on frames chosen by another policy; None: as the model does. What is made stays, and is
    stale where other frames would condition it."""

    type: Literal["context_policy"] = "context_policy"
    policy: PolicyName | None = None


class SetLora(Message):
    """Make takes to come with these LoRA adapters and weights, by name; None: with all that are loaded."""

    type: Literal["lora"] = "lora"
    lora: Lora | None = None


class Unpin(Message):
    """Unpin the reference image with this id."""

    type: Literal["unpin"] = "unpin"
    picture: Index


class Delete(Message):
    """Take a shot and all its takes out of the film."""

    type: Literal["delete"] = "delete"
    shot: Index


class Move(Message):
    """Make shot ``shot`` shot number ``to``."""

    type: Literal["move"] = "move"
    shot: Index
    to: Index


class Duplicate(Message):
    """A copy of a shot right behind it."""

    type: Literal["duplicate"] = "duplicate"
    shot: Index


class Lock(Message):
    """Let a made shot stay as it is, or not any more."""

    type: Literal["lock"] = "lock"
    shot: Index
    locked: bool


class Trim(Message):
    """Of the made take ``take``, frames ``start`` to ``stop`` (without that one) are in the film."""

    type: Literal["trim"] = "trim"
    take: Index
    start: Index
    stop: Index


class Mark(Message):
    """A note at frame ``frame`` of the made take ``take``; blank: none there."""

    type: Literal["mark"] = "mark"
    take: Index
    frame: Index
    text: Annotated[str, Field(max_length=80)]


class Steps(Message):
    """From the next block on, make blocks in so many steps: fewer are faster. For every film of this studio."""

    type: Literal["steps"] = "steps"
    steps: Annotated[int, Field(strict=True, ge=1, le=1000)]


class RemakeStale(Message):
    """Every stale shot again, in film order, each with its own seed."""

    type: Literal["remake_stale"] = "remake_stale"


class Branch(Message):
    """Begin a branch behind shot ``after`` (-1: at the very start), and go on there."""

    type: Literal["branch"] = "branch"
    name: Name
    after: Annotated[int, Field(strict=True, ge=-1, le=1_000_000)]


class Switch(Message):
    """Go on along another branch."""

    type: Literal["switch"] = "switch"
    branch: Name


class Drop(Message):
    """Remove a branch the film is not on."""

    type: Literal["drop"] = "drop"
    branch: Name


class Undo(Message):
    """Take back the latest command that changed the film."""

    type: Literal["undo"] = "undo"


class Redo(Message):
    """Do again what was undone last."""

    type: Literal["redo"] = "redo"


class Pause(Message):
    """Let the running shot go on to its end, and begin nothing more until ``resume``."""

    type: Literal["pause"] = "pause"


EditCommand = (
    Insert
    | Revise
    | Retell
    | SetContextPolicy
    | SetLora
    | Unpin
    | Delete
    | Move
    | Duplicate
    | Lock
    | Trim
    | Mark
    | RemakeStale
    | Branch
    | Switch
    | Drop
    | Undo
    | Redo
    | Pause
)
QueueCommand = Shoot | Retake | Remake | Choose | Remove | Clear | Stop | Resume
FilmCommand = QueueCommand | Cut | Extend | Change | Position | EditCommand
Command = FilmCommand | Steps
ClientMessage = Annotated[Hello | Show | Command, Field(discriminator="type")]
AnyCommand = Annotated[Command, Field(discriminator="type")]
