"""The record of a film: everything it is but its pixels, as plain data. What is saved is this, and the footage.

Records never change; a command on a film makes a new one. A take is known by its ``id``, which stays its own
wherever its shot goes; ``saw`` lists the frames that conditioned it.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.story import Caption, Seed, describe

FORMAT = "shotstream film"
VERSION = 1
MAX_SHOTS = 10_000
MAX_TAKES = 10_000
MAX_TAKE_FRAMES = 20_000
MAX_SIDE = 4096  # pixels
MAX_BLOCKS = 1000  # of one shot

Blocks = Annotated[int, Field(gt=0, le=MAX_BLOCKS)]
Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]


class SeenFrame(Config):
    """A condition frame: pixel frame ``frame`` (from 0) of the take with id ``take``."""

    take: int = Field(ge=0)
    frame: int = Field(ge=0)


class Change(Config):
    """From block ``block`` (from 0) on, the take was made under ``caption`` instead."""

    block: int = Field(ge=0, le=1000)
    caption: Caption


class TakeRecord(Config):
    """One making of a shot. ``seed`` names all its noise; ``block_frames`` are its blocks' lengths in pixel frames.

    ``changes``: what the director asked for in mid-shot, in order; made again, the take heeds them again.
    """

    id: int = Field(ge=0)
    seed: Seed
    state: Literal["planned", "finished", "cut"] = "planned"
    block_frames: tuple[Annotated[int, Field(gt=0, le=1000)], ...] = Field(default=(), max_length=1000)
    saw: tuple[SeenFrame, ...] = Field(default=(), max_length=1000)
    changes: tuple[Change, ...] = Field(default=(), max_length=1000)
    model: str = ""
    model_version: str = ""

    @property
    def frames(self) -> int:
        return sum(self.block_frames)

    @property
    def video(self) -> str:
        """Name of its footage inside a film file."""
        return f"takes/{self.id:05d}.mp4"

    def changed(self, block: int, caption: str) -> TakeRecord:
        """The same take, under ``caption`` from ``block`` on."""
        earlier = tuple(change for change in self.changes if change.block < block)
        return self.model_copy(update={"changes": (*earlier, Change(block=block, caption=caption))})

    @model_validator(mode="after")
    def _made_of_frames(self) -> TakeRecord:
        if (self.state == "planned") != (not self.block_frames):
            raise ValueError(f"take {self.id} is {self.state} with {self.frames} frames")
        if self.frames > MAX_TAKE_FRAMES:
            raise ValueError(f"take {self.id} has {self.frames} frames; at most {MAX_TAKE_FRAMES}")
        return self


class ShotRecord(Config):
    """One shot: what it shows, how many blocks are asked for, its takes, and the id of the chosen one."""

    caption: Caption
    blocks: Blocks
    seed: Seed | None = None
    takes: tuple[TakeRecord, ...] = Field(min_length=1)
    chosen: int | None = None

    @property
    def choice(self) -> TakeRecord | None:
        """The chosen take; None while there is none."""
        return next((take for take in self.takes if take.id == self.chosen), None)

    def caption_at(self, take: TakeRecord, block: int) -> str:
        """What ``take`` is made under when it comes to ``block``: the shot's caption, or its latest change."""
        return next((change.caption for change in reversed(take.changes) if change.block <= block), self.caption)

    @model_validator(mode="after")
    def _chosen_is_made(self) -> ShotRecord:
        if self.chosen is not None and (self.choice is None or self.choice.state == "planned"):
            raise ValueError(f"the chosen take {self.chosen} is none of the shot's made takes")
        return self


def _unique_ids(shots: tuple[ShotRecord, ...]) -> tuple[ShotRecord, ...]:
    ids = Counter(take.id for shot in shots for take in shot.takes)
    if len(ids) > MAX_TAKES:
        raise ValueError(f"{len(ids)} takes; at most {MAX_TAKES}")
    if ids and max(ids.values()) > 1:
        raise ValueError(f"take {ids.most_common(1)[0][0]} is listed twice")
    return shots


class FilmRecord(Config):
    """A whole film: sizes in pixels, frames per second, and its shots in order."""

    format: Literal["shotstream film"] = "shotstream film"
    version: Literal[1] = 1
    synthetic: Literal[True] = True  # made by a generative model, for every reader of the file
    width: Side
    height: Side
    fps: int = Field(gt=0, le=240)
    global_caption: Caption
    seed: Seed
    shots: Annotated[tuple[ShotRecord, ...], AfterValidator(_unique_ids)] = Field(default=(), max_length=MAX_SHOTS)

    def takes(self) -> list[TakeRecord]:
        """Every take of every shot."""
        return [take for shot in self.shots for take in shot.takes]

    def find(self, id: int) -> tuple[int, TakeRecord]:
        """Index of the shot that take ``id`` is a take of, and the take. Raises :class:`InputError` if it has gone."""
        for index, shot in enumerate(self.shots):
            for take in shot.takes:
                if take.id == id:
                    return index, take
        raise InputError(f"take {id} is no longer in the film")

    def next_id(self) -> int:
        return max((take.id for take in self.takes()), default=-1) + 1

    def with_shot(self, index: int, shot: ShotRecord) -> FilmRecord:
        """The same film with another shot at ``index`` (at the end, if there is none)."""
        return self.model_copy(update={"shots": (*self.shots[:index], shot, *self.shots[index + 1 :])})

    def with_take(self, index: int, take: TakeRecord, *, choose: bool) -> FilmRecord:
        """The same film with ``take`` in shot ``index``: in the place of the one with its id, else as the newest."""
        shot = self.shots[index]
        others = [take if old.id == take.id else old for old in shot.takes]
        takes = tuple(others) if take in others else (*shot.takes, take)
        chosen = take.id if choose else shot.chosen
        return self.with_shot(index, shot.model_copy(update={"takes": takes, "chosen": chosen}))

    def without_take(self, index: int, id: int) -> FilmRecord:
        """The same film without take ``id`` of shot ``index``; without the shot, if it had no other."""
        shot = self.shots[index]
        takes = tuple(take for take in shot.takes if take.id != id)
        kept = (shot.model_copy(update={"takes": takes}),) if takes else ()
        return self.model_copy(update={"shots": (*self.shots[:index], *kept, *self.shots[index + 1 :])})


class _Header(Config):
    """The two keys every version of the format has."""

    model_config = ConfigDict(extra="ignore")

    format: str
    version: int


def read_record(data: bytes, name: str) -> FilmRecord:
    """The film described by JSON ``data``; ``name`` is what errors call it. Raises :class:`InputError`, one line."""
    try:
        header = _Header.model_validate_json(data)
    except ValidationError as fault:
        raise InputError(f"{name}: not a film's description ({_said(fault)}); is this a film file?") from fault
    if header.format != FORMAT:
        raise InputError(f"{name}: its format is {header.format[:40]!r}, not {FORMAT!r}; give a film file")
    if header.version != VERSION:
        raise InputError(f"{name}: film file version {header.version}, this program reads {VERSION}; update shotstream")
    try:
        return FilmRecord.model_validate_json(data)
    except ValidationError as fault:
        raise InputError(f"{name}: {_said(fault)}; the file is damaged") from fault


def _said(fault: ValidationError) -> str:
    first = fault.errors(include_url=False, include_input=False)[0]
    return f"{describe(tuple(first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
