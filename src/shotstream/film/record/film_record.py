"""The record of a film as plain data: everything but its pixels. A film file holds this, and the footage.

Records never change; an event on a film makes a new one (:mod:`shotstream.film.record.fold`). A take is known by its
``id``, which stays its own wherever its shot goes; ``saw`` lists the frames that conditioned it.

Some keys keep an older word, because journals and film files that exist have it: ``planned`` is queued, ``saw`` are
condition frames, ``story`` is a take's global caption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import accumulate
from numbers import Integral
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from shotstream.core.config import Config
from shotstream.core.context_budget import PolicyName, reference_name
from shotstream.core.errors import InputError
from shotstream.core.story import MAX_REFERENCES, Caption, LoraName, LoraWeight, Seed

MAX_SHOTS = 10_000
MAX_TAKES = 10_000
MAX_TAKE_FRAMES = 20_000
MAX_SIDE = 4096  # pixels
MAX_BLOCKS = 1000  # of one shot
MAX_ENDLESS = 400  # of one that goes on until it is cut: five minutes at 16 frames/s
MAX_BRANCHES = 100
MAX_MARKERS = 200  # of one take
MAX_NAME = 80  # characters of a branch's name, and of a marker

Blocks = Annotated[int, Field(gt=0, le=MAX_BLOCKS)]
BlockFrames = tuple[Annotated[int, Field(gt=0, le=1000)], ...]
Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]
Id = Annotated[int, Field(ge=0)]
BranchName = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"\S")]
MarkerText = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"\S")]
Checksum = Annotated[str, Field(pattern=r"^([0-9a-f]{8})?$")]
SourceName = Annotated[str, Field(max_length=MAX_NAME)]


class SeenFrame(Config):
    """A condition frame: pixel frame ``frame`` (from 0) of the take with id ``take``."""

    take: Id
    frame: int = Field(ge=0)


class Change(Config):
    """From block ``block`` (from 0) on, the take was made under ``caption`` instead: in its first ``blend`` blocks
    under more and more of it, and less of the caption before."""

    block: int = Field(ge=0, le=MAX_BLOCKS)
    caption: Caption
    blend: int = Field(default=0, ge=0, le=MAX_BLOCKS)

    def share(self, block: int) -> float:
        """How much of the caption ``block``, which is not before it, is made under: above 0, to 1."""
        return min(1.0, (block - self.block + 1) / (self.blend + 1))


class Trim(Config):
    """The frames of a take that are in the film: from ``start`` on, up to and without ``stop``."""

    start: int = Field(ge=0)
    stop: int = Field(gt=0, le=MAX_TAKE_FRAMES)


class Marker(Config):
    """A person's note at pixel frame ``frame`` (from 0) of a take."""

    frame: int = Field(ge=0, le=MAX_TAKE_FRAMES)
    text: MarkerText


class LoraUse(Config):
    """A LoRA adapter in the weights that make a take. ``fingerprint``: of its file; blank before it was used."""

    name: LoraName
    weight: LoraWeight
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""


def lora_uses(lora: Mapping[str, float] | None) -> tuple[LoraUse, ...] | None:
    """``lora`` as a record has it."""
    return None if lora is None else tuple(LoraUse(name=name, weight=weight) for name, weight in lora.items())


class TakeRecord(Config):
    """One rendering of a shot. ``seed``: of all its noise; ``block_frames`` are its blocks' lengths in pixel frames.

    ``changes``: what the director asked for in mid-shot, in order; a remake applies them again.
    ``lora``: the adapters it is made with; None: its shot's, or else the film's, as they are when it begins.
    ``source``: the name of the file it was taken from; blank if the model makes it.
    ``blocks``: how many it is to be made of, where that is not the shot's number. ``story``: the global caption it was
    made under, where that is no longer the film's. ``shows``: the take whose footage it shares, where that is not its
    own. ``crc32``: of the footage file, in hex. ``trim``: the frames that are in the film, where not all are (later
    shots are conditioned on any of them). ``markers``: notes, by frame.
    """

    id: Id
    seed: Seed
    state: Literal["planned", "finished", "cut"] = "planned"
    blocks: Blocks | None = None
    block_frames: BlockFrames = Field(default=(), max_length=1000)
    saw: tuple[SeenFrame, ...] = Field(default=(), max_length=1000)
    changes: tuple[Change, ...] = Field(default=(), max_length=1000)
    model: str = ""
    model_version: str = ""
    story: Caption | None = None
    shows: Id | None = None
    crc32: Checksum = ""
    trim: Trim | None = None
    markers: tuple[Marker, ...] = Field(default=(), max_length=MAX_MARKERS)
    source: SourceName = ""
    lora: tuple[LoraUse, ...] | None = None

    @property
    def made(self) -> bool:
        """Whether there is footage of it."""
        return self.state != "planned"

    @property
    def frames(self) -> int:
        return sum(self.block_frames)

    @property
    def shown(self) -> range:
        """Its frames that are in the film."""
        return range(self.frames) if self.trim is None else range(self.trim.start, self.trim.stop)

    @property
    def footage(self) -> int:
        """The number of its footage: its own id, or that of the take it was copied from."""
        return self.id if self.shows is None else self.shows

    @property
    def video(self) -> str:
        """Name of its footage inside a film file."""
        return f"takes/{self.footage:05d}.mp4"

    def changed(self, change: Change) -> TakeRecord:
        """The same take with ``change``, and none of those that were to come after it."""
        earlier = tuple(one for one in self.changes if one.block < change.block)
        return self.model_copy(update={"changes": (*earlier, change)})

    def change_at(self, block: int) -> Change | None:
        """The latest change up to ``block``."""
        return next((change for change in reversed(self.changes) if change.block <= block), None)

    @model_validator(mode="after")
    def _made_of_frames(self) -> TakeRecord:
        if self.made != bool(self.block_frames):
            raise ValueError(f"take {self.id} is {self.state} with {self.frames} frames")
        if self.frames > MAX_TAKE_FRAMES:
            raise ValueError(f"take {self.id} has {self.frames} frames; at most {MAX_TAKE_FRAMES}")
        if self.made and self.trim is not None and not 0 <= self.trim.start < self.trim.stop <= self.frames:
            raise ValueError(f"take {self.id} has {self.frames} frames and is trimmed to {self.trim}")
        return self


class ShotRecord(Config):
    """One shot: what it shows, how many blocks are asked for, its takes, and the id of the chosen one.

    ``lora``: the adapters of its takes; None: the film's.
    ``endless``: a take that has no length of its own goes on until it is cut, or another waits behind it.
    ``locked``: it stays as it is; nothing new is made of it.
    """

    caption: Caption
    blocks: Blocks
    seed: Seed | None = None
    takes: tuple[TakeRecord, ...] = Field(min_length=1)
    chosen: int | None = None
    locked: bool = False
    endless: bool = False
    lora: tuple[LoraUse, ...] | None = None

    @property
    def choice(self) -> TakeRecord | None:
        """The chosen take; None while there is none."""
        return None if self.chosen is None else self.take(self.chosen)

    @property
    def queued(self) -> tuple[TakeRecord, ...]:
        """Takes that are still to be made."""
        return tuple(take for take in self.takes if not take.made)

    def take(self, id: int) -> TakeRecord | None:
        return next((take for take in self.takes if take.id == id), None)

    def blocks_of(self, take: TakeRecord) -> int:
        """How many blocks ``take`` is to have."""
        return self.blocks if take.blocks is None else take.blocks

    def goes_on(self, take: TakeRecord) -> bool:
        """Is ``take`` to go on until it is cut?"""
        return self.endless and take.blocks is None and not take.made

    @property
    def current_caption(self) -> str:
        """The caption its choice was begun under; without a choice, that of its newest take."""
        return self.caption_at(self.choice or self.takes[-1], 0)

    def caption_at(self, take: TakeRecord, block: int) -> str:
        """The caption of ``take`` at ``block``: the shot's, or the latest change up to there."""
        change = take.change_at(block)
        return self.caption if change is None else change.caption

    def with_take(self, take: TakeRecord) -> ShotRecord:
        """The same shot with ``take`` in the place of the one with its id, else as the newest."""
        if self.take(take.id) is None:
            return self.model_copy(update={"takes": (*self.takes, take)})
        return self.model_copy(update={"takes": tuple(take if old.id == take.id else old for old in self.takes)})

    @model_validator(mode="after")
    def _chosen_is_made(self) -> ShotRecord:
        if self.chosen is not None and (self.choice is None or not self.choice.made):
            raise ValueError(f"the chosen take {self.chosen} is none of the shot's made takes")
        return self


def _unique_ids(shots: tuple[ShotRecord, ...]) -> tuple[ShotRecord, ...]:
    ids = Counter(take.id for shot in shots for take in shot.takes)
    if len(ids) > MAX_TAKES:
        raise ValueError(f"{len(ids)} takes; at most {MAX_TAKES}")
    if ids and max(ids.values()) > 1:
        raise ValueError(f"take {ids.most_common(1)[0][0]} is listed twice")
    return shots


Shots = Annotated[tuple[ShotRecord, ...], AfterValidator(_unique_ids), Field(max_length=MAX_SHOTS)]


def place_of(shots: tuple[ShotRecord, ...], id: int) -> tuple[int, TakeRecord] | None:
    """Index of the shot among ``shots`` that take ``id`` is a take of, and the take; the latest shots come first."""
    for index in range(len(shots) - 1, -1, -1):
        for take in shots[index].takes:
            if take.id == id:
                return index, take
    return None


class Reference(Config):
    """A reference image: conditions every shot whose prompt names it, and reads its own caption.

    ``caption``: a name, a colon, and what the picture shows (``the fox: a red fox with a blue hat``). ``picture``: its
    footage, of one frame, as that of a made take.
    """

    caption: Caption
    picture: TakeRecord

    @property
    def name(self) -> str:
        """What prompts call it."""
        return reference_name(self.caption)

    @model_validator(mode="after")
    def _named_and_made(self) -> Reference:
        if not self.name or self.picture.frames != 1:
            raise ValueError("a reference is one picture whose caption names it before a colon")
        return self


class BranchRecord(Config):
    """One branch of a film: its shots, from the first. Branches share the takes they have in common."""

    id: Id
    name: BranchName
    shots: Shots = ()


class FilmRecord(Config):
    """A whole film: sizes in pixels, frames per second, and its shots in order: those of the branch it is on.

    ``context_policy``: what that chooses condition frames; None: the model's own. ``others``: its other branches, the
    oldest first. ``references``: its reference images. ``lora``: the adapters of shots that do not say theirs;
    None: all that are loaded.
    """

    format: Literal["shotstream film"] = "shotstream film"
    version: Literal[2] = 2
    synthetic: Literal[True] = True  # made by a generative model, for every reader of the file
    width: Side
    height: Side
    fps: int = Field(gt=0, le=240)
    global_caption: Caption
    seed: Seed
    context_policy: PolicyName | None = None
    lora: tuple[LoraUse, ...] | None = None
    branch: Id = 0
    branch_name: BranchName = "main"
    shots: Shots = ()
    others: tuple[BranchRecord, ...] = Field(default=(), max_length=MAX_BRANCHES - 1)
    references: tuple[Reference, ...] = Field(default=(), max_length=MAX_REFERENCES)

    @property
    def branches(self) -> tuple[BranchRecord, ...]:
        """Every branch, the oldest first."""
        here = BranchRecord.model_construct(id=self.branch, name=self.branch_name, shots=self.shots)
        return tuple(sorted((here, *self.others), key=lambda branch: branch.id))

    def takes(self) -> list[TakeRecord]:
        """Every take of every shot of this branch."""
        return [take for shot in self.shots for take in shot.takes]

    def all_takes(self) -> list[TakeRecord]:
        """Every take of every branch, and every reference image, each once, by id."""
        found = {take.id: take for branch in self.branches for shot in branch.shots for take in shot.takes}
        found |= {one.picture.id: one.picture for one in self.references}
        return [found[id] for id in sorted(found)]

    def has(self, id: int) -> bool:
        """Is take ``id`` in this branch?"""
        return place_of(self.shots, id) is not None

    def find(self, id: int) -> tuple[int, TakeRecord]:
        """Index of the shot that take ``id`` is a take of, and the take. Raises :class:`InputError` if it has gone."""
        found = place_of(self.shots, id)
        if found is None:
            raise InputError(f"take {id} is no longer in the film")
        return found

    def shot(self, index: int) -> ShotRecord:
        """Shot ``index``, from 0. Raises :class:`InputError` if there is none."""
        if not isinstance(index, Integral) or not 0 <= index < len(self.shots):
            raise InputError(f"there is no shot {index!r:.40}; the film has {len(self.shots)}, counted from 0")
        return self.shots[index]

    def with_shots(self, shots: tuple[ShotRecord, ...]) -> FilmRecord:
        return self.model_copy(update={"shots": shots})

    def with_shot(self, index: int, shot: ShotRecord) -> FilmRecord:
        """The same film with another shot at ``index``."""
        return self.with_shots((*self.shots[:index], shot, *self.shots[index + 1 :]))

    def everywhere(self, change: Callable[[tuple[ShotRecord, ...]], tuple[ShotRecord, ...]]) -> FilmRecord:
        """The same film with the shots of every branch as ``change`` answers."""
        others = tuple(branch.model_copy(update={"shots": change(branch.shots)}) for branch in self.others)
        return self.model_copy(update={"shots": change(self.shots), "others": others})

    @model_validator(mode="after")
    def _branches_are_told_apart(self) -> FilmRecord:
        branches = self.branches
        if min(len({one.id for one in branches}), len({one.name for one in branches})) < len(branches):
            raise ValueError("two branches have the same id or name")
        pinned = {one.picture.id for one in self.references}
        if len(pinned) < len(self.references) or any(place_of(one.shots, id) for one in branches for id in pinned):
            raise ValueError("two reference images, or one and a take, have the same id")
        if len(self.all_takes()) > MAX_TAKES:
            raise ValueError(f"{len(self.all_takes())} takes; at most {MAX_TAKES}")
        return self


def queue_order(record: FilmRecord) -> list[int]:
    """Ids of the queued takes, in the order they were asked for, except that a shot waits for earlier ones that are not
    made: it is conditioned on them."""
    awaited = [-1 if shot.choice is not None or not shot.queued else shot.queued[0].id for shot in record.shots]
    latest = [-1, *accumulate(awaited, max)]  # of all takes that have to be made before a shot
    queue = [
        (max(take.id, latest[index]), index, take.id) for index, shot in enumerate(record.shots) for take in shot.queued
    ]
    return [id for _, _, id in sorted(queue)]
