"""The events of a film. Its journal is a list of them, and replaying them gives the film.

Edits are what a person does to the script, and can be undone. Directions go to the take that is being made; they can
be undone until it has ended, and are part of it from then on. Facts say how a take was made, and are never undone.
Shots are counted from 0, at the time of the event.

Classes are called as the glossary has it. Some keys keep an older word, because journals and film files that exist have
it: ``film`` (founded), ``plan`` (queued), ``story`` (global caption), ``saw`` (condition frames).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from shotstream.core.config import Config
from shotstream.core.context_budget import PolicyName
from shotstream.core.story import Caption
from shotstream.film.record.film_record import (
    MAX_BLOCKS,
    MAX_MARKERS,
    BlockFrames,
    Blocks,
    BranchName,
    Change,
    Checksum,
    FilmRecord,
    Id,
    LoraUse,
    Marker,
    Reference,
    SeenFrame,
    ShotRecord,
    TakeRecord,
    Trim,
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


class Placed(Config):
    """Shots of a person's own footage came in before shot ``at``, or at the end."""

    type: Literal["place"] = "place"
    at: Index
    shots: tuple[ShotRecord, ...] = Field(min_length=1)


class Pinned(Config):
    """Prompts that name this reference image are conditioned on it from now on."""

    type: Literal["pin"] = "pin"
    reference: Reference


class Unpinned(Config):
    """The reference image with this id conditions nothing from now on."""

    type: Literal["unpin"] = "unpin"
    picture: Id


class Deleted(Config):
    type: Literal["delete"] = "delete"
    shot: Index


class Moved(Config):
    """Shot ``shot`` was taken out and put in again as shot ``to``."""

    type: Literal["move"] = "move"
    shot: Index
    to: Index


class QueuedTake(Config):
    """A take to be made of shot ``shot``."""

    shot: Index
    take: TakeRecord


class Queued(Config):
    type: Literal["plan"] = "plan"
    takes: tuple[QueuedTake, ...] = Field(min_length=1)


class Revised(Config):
    """The queued take of shot ``shot`` became ``take``: another caption, length or seed."""

    type: Literal["revise"] = "revise"
    shot: Index
    take: TakeRecord


class Retold(Config):
    """The film has another global caption. Finished takes stay as they are."""

    type: Literal["retell"] = "retell"
    global_caption: Caption


class ContextPolicySet(Config):
    """Condition frames are chosen by another policy from now on; None: the model's own."""

    type: Literal["context_policy"] = "context_policy"
    policy: PolicyName | None


class LoraSet(Config):
    """Takes to come are made with these adapters; None: with all that are loaded."""

    type: Literal["lora"] = "lora"
    lora: tuple[LoraUse, ...] | None


class Chosen(Config):
    type: Literal["choose"] = "choose"
    shot: Index
    take: Id


class Removed(Config):
    """A queued take went out of the queue, and its shot with it if it had no other. ``also``: others, with it."""

    type: Literal["remove"] = "remove"
    take: Id
    also: tuple[Id, ...] = Field(default=(), max_length=1000)


class Locked(Config):
    type: Literal["lock"] = "lock"
    shot: Index
    locked: bool


class Trimmed(Config):
    """Of the made take ``take``, these frames are in the film; None: all."""

    type: Literal["trim"] = "trim"
    take: Id
    trim: Trim | None


class Marked(Config):
    """The made take ``take`` has these markers, and no others."""

    type: Literal["mark"] = "mark"
    take: Id
    markers: tuple[Marker, ...] = Field(max_length=MAX_MARKERS)


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
    """From block ``block`` on, take ``take`` is made under ``caption``, which takes over within ``blend`` blocks."""

    type: Literal["change"] = "change"
    take: Id
    block: Index
    caption: Caption
    blend: int = Field(default=0, ge=0, le=MAX_BLOCKS)

    @property
    def change(self) -> Change:
        """It, as the take's record has it."""
        return Change(block=self.block, caption=self.caption, blend=self.blend)


class Begun(Config):
    """Take ``take`` is being made by this model, conditioned by the frames it ``saw``, under the global caption
    ``story`` (None in journals from before it could change)."""

    type: Literal["begin"] = "begin"
    take: Id
    saw: tuple[SeenFrame, ...]
    model: str
    model_version: str
    story: Caption | None = None
    lora: tuple[LoraUse, ...] = ()


class Ended(Config):
    """Take ``take`` is made, its footage on the disk; it is the choice wherever it stands.

    ``changes``: the captions it was made under, whatever had been asked for. ``model_version``: of all its blocks
    (blank in journals from before it could change while a take is made).
    """

    type: Literal["end"] = "end"
    take: Id
    state: Literal["finished", "cut"]
    block_frames: BlockFrames = Field(min_length=1)
    changes: tuple[Change, ...] = ()
    crc32: Checksum
    model_version: str = ""


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


Edit = (
    Inserted
    | Placed
    | Pinned
    | Unpinned
    | Deleted
    | Moved
    | Queued
    | Revised
    | Retold
    | ContextPolicySet
    | LoraSet
    | Chosen
    | Removed
    | Locked
    | Trimmed
    | Marked
    | Branched
    | Switched
    | Dropped
)
Direction = Extended | Changed
Fact = Begun | Ended | Lost
Event = Founded | Edit | Direction | Fact | Paused | Undone | Redone

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
