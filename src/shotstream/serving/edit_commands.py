"""Client messages that edit a film: its shots, its branches, its history. Each is one method of a film."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shotstream.serving.wire_types import Index, Message, Prompt, Seconds, SeedNumber

Name = Annotated[str, Field(min_length=1, max_length=80)]


class Insert(Message):
    """Plan a new shot before shot ``at``, or at the end."""

    type: Literal["insert"] = "insert"
    at: Index
    caption: Prompt
    seconds: Seconds | None = None
    seed: SeedNumber | None = None


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


class RemakeStale(Message):
    """Every stale shot again, in film order, each with its own noise."""

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


EditCommand = Insert | Delete | Move | Duplicate | Lock | RemakeStale | Branch | Switch | Drop | Undo | Redo | Pause
