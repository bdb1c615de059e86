"""What can happen to a film. Its journal is a list of these, and the film is what they amount to.

Edits are what a person does to the script, and can be undone. Directions go to the take that is being made; they can
be undone until it has ended, and are part of it from then on. Facts say how a take was made; they stay true whatever
is undone. Shots are counted from 0, at the time of the event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from shotstream.core.config import Config
from shotstream.core.story import Caption
from shotstream.film.record import (
    BlockFrames,
    Blocks,
    BranchName,
    Change,
    Checksum,
    FilmRecord,
    Id,
    SeenFrame,
    ShotRecord,
    TakeRecord,
)

Index = Annotated[int, Field(ge=0)]


class Founded(Config):
    """The first event of every journal: the film as it was then. Ids below ``next_take`` are never used again."""

    type: Literal["film"] = "film"
    format: Literal["shotstream film"] = "shotstream film"
    version: Literal[2] = 2
    record: FilmRecord
    next_take: Id = 0
    next_branch: Id = 1
    paused: bool = False


class Inserted(Config):
    """A shot came in before shot ``at``, or at the end."""

    type: Literal["insert"] = "insert"
    at: Index
    shot: ShotRecord


class Deleted(Config):
    type: Literal["delete"] = "delete"
    shot: Index


class Moved(Config):
    """Shot ``shot`` was taken out and put in again as shot ``to``."""

    type: Literal["move"] = "move"
    shot: Index
    to: Index


class PlannedTake(Config):
    """A take to be made of shot ``shot``."""

    shot: Index
    take: TakeRecord


class Planned(Config):
    type: Literal["plan"] = "plan"
    takes: tuple[PlannedTake, ...] = Field(min_length=1)


class Chosen(Config):
    type: Literal["choose"] = "choose"
    shot: Index
    take: Id


class Removed(Config):
    """A planned take went out of the queue, and its shot with it if it had no other."""

    type: Literal["remove"] = "remove"
    take: Id


class Locked(Config):
    type: Literal["lock"] = "lock"
    shot: Index
    locked: bool


class Branched(Config):
    """A branch began with the first ``shots`` shots of the one the film was on; the film is on it from then on."""

    type: Literal["branch"] = "branch"
    id: Id
    name: BranchName
    shots: Index


class Switched(Config):
    """The film goes on along another branch."""

    type: Literal["switch"] = "switch"
    branch: Id


class Dropped(Config):
    """A branch the film is not on was removed."""

    type: Literal["drop"] = "drop"
    branch: Id


class Extended(Config):
    """The shot whose take ``take`` is being made shall have ``blocks`` blocks."""

    type: Literal["extend"] = "extend"
    take: Id
    blocks: Blocks


class Changed(Config):
    """From block ``block`` on, take ``take`` is made under ``caption``."""

    type: Literal["change"] = "change"
    take: Id
    block: Index
    caption: Caption


class Begun(Config):
    """Take ``take`` is being made by this model, conditioned by the frames it ``saw``."""

    type: Literal["begin"] = "begin"
    take: Id
    saw: tuple[SeenFrame, ...]
    model: str
    model_version: str


class Ended(Config):
    """Take ``take`` is made, its footage on the disk; it is the choice wherever it stands.

    ``changes``: the captions it was made under, whatever had been asked for.
    """

    type: Literal["end"] = "end"
    take: Id
    state: Literal["finished", "cut"]
    block_frames: BlockFrames = Field(min_length=1)
    changes: tuple[Change, ...] = ()
    crc32: Checksum


class Lost(Config):
    """Footage that could no longer be read; the takes that show it are to be made again."""

    type: Literal["lost"] = "lost"
    footage: tuple[Id, ...] = Field(min_length=1)


class Paused(Config):
    """Nothing is begun from the queue while a film is paused."""

    type: Literal["pause"] = "pause"
    paused: bool


class Undone(Config):
    type: Literal["undo"] = "undo"


class Redone(Config):
    type: Literal["redo"] = "redo"


Edit = Inserted | Deleted | Moved | Planned | Chosen | Removed | Locked | Branched | Switched | Dropped
Direction = Extended | Changed
Fact = Begun | Ended | Lost
Event = Founded | Edit | Direction | Fact | Paused | Undone | Redone

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
