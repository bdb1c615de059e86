"""Turns every command into the event it becomes, or an error. Pure: nothing here changes a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from shotstream.core.context_budget import reference_name
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import MAX_REFERENCES, Shot
from shotstream.film.record.events import (
    Branched,
    Chosen,
    ContextPolicySet,
    Deleted,
    Dropped,
    Inserted,
    Locked,
    LoraSet,
    Marked,
    Moved,
    Pinned,
    Placed,
    Queued,
    QueuedTake,
    Removed,
    Retold,
    Revised,
    Switched,
    Trimmed,
    Unpinned,
)
from shotstream.film.record.film_record import (
    MAX_BRANCHES,
    MAX_ENDLESS,
    MAX_MARKERS,
    MAX_NAME,
    MAX_SHOTS,
    MAX_TAKES,
    BranchRecord,
    Change,
    FilmRecord,
    Marker,
    Reference,
    ShotRecord,
    TakeRecord,
    Trim,
    lora_uses,
)
from shotstream.film.record.history import History
from shotstream.film.record.script import change_of, checked_global_caption, checked_policy, checked_shot


class OwnFootage(NamedTuple):
    """Footage of a person's own, ready to be taken in: its file, how long its blocks are, and the file's checksum."""

    file: Path
    block_frames: tuple[int, ...]
    crc32: str


def insert(history: History, geometry: Geometry, at: int, shot: Shot) -> Inserted:
    """A new shot before shot ``at`` (at the end: the number of shots), with its first take queued."""
    record = history.record
    _refuse_full(history, 1)
    _refuse_place(record, at)
    blocks = shot.blocks(geometry)
    first = TakeRecord(
        id=history.next_take,
        seed=_seed(record, at, shot.seed, record.seed, 0),
        changes=_changes(at, shot, blocks, geometry),
    )
    told = {"caption": shot.caption, "blocks": blocks, "seed": shot.seed, "endless": bool(shot.endless)}
    return Inserted(at=at, shot=ShotRecord(takes=(first,), lora=lora_uses(shot.lora), **told))


def place(history: History, at: int, source: str, pieces: Sequence[OwnFootage], captions: Sequence[str]) -> Placed:
    """A made shot for each of ``pieces``, from the file ``source``, before shot ``at``; one caption for all, or one for
    each."""
    record = history.record
    _refuse_full(history, len(pieces), len(pieces))
    _refuse_place(record, at)
    if len(captions) not in (1, len(pieces)):
        raise InputError(
            f"{source}: has {len(pieces)} shots, and {len(captions)} captions were given; give one for all, or one for "
            "each"
        )
    shots = []
    for number, piece in enumerate(pieces):
        caption = checked_shot(at + number, captions[number % len(captions)]).caption
        take = _own_take(history.next_take + number, source, piece)
        take = take.model_copy(update={"seed": derive(record.seed, "own", take.id)})
        shots.append(ShotRecord(caption=caption, blocks=len(piece.block_frames), takes=(take,), chosen=take.id))
    return Placed(at=at, shots=tuple(shots))


def pin(history: History, source: str, piece: OwnFootage, caption: str) -> Pinned:
    """An image from the file ``source`` that conditions the shots whose prompt names it."""
    record, caption = history.record, checked_shot(0, caption).caption
    name = reference_name(caption)
    if not name:
        raise InputError(
            f"{source}: {caption[:60]!r} names nothing; write a name, a colon and what is seen, such as "
            "'the fox: a red fox with a blue hat'"
        )
    if any(one.name.lower() == name.lower() for one in record.references):
        raise InputError(f"{source}: {name!r} is pinned already; unpin that image first, or give another name")
    if len(record.references) >= MAX_REFERENCES:
        raise InputError(f"a film has at most {MAX_REFERENCES} reference images; unpin one first")
    _refuse_full(history, 0)
    return Pinned(reference=Reference(caption=caption, picture=_own_take(history.next_take, source, piece)))


def unpin(record: FilmRecord, name: str | int) -> Unpinned:
    """The reference image of this name, or with this id, conditions nothing any more."""
    found = next((one for one in record.references if name in (one.picture.id, one.name)), None)
    if found is None:
        known = ", ".join(repr(one.name) for one in record.references) or "none"
        raise InputError(f"no reference image is called {name!r}; there are: {known}")
    return Unpinned(picture=found.picture.id)


def _own_take(id: int, source: str, piece: OwnFootage) -> TakeRecord:
    return TakeRecord(
        id=id, seed=0, state="finished", block_frames=piece.block_frames, crc32=piece.crc32, source=source[-MAX_NAME:]
    )


def duplicate(history: History, index: int) -> Inserted:
    """A copy of shot ``index`` right behind it: the chosen take with its footage, or the same take queued again."""
    shot = history.record.shot(index)
    _refuse_full(history, 1)
    take = shot.choice or shot.takes[0]
    copy = take.model_copy(update={"id": history.next_take, "shows": take.footage if take.made else None})
    update = {"takes": (copy,), "chosen": copy.id if copy.made else None, "locked": False}
    return Inserted(at=index + 1, shot=shot.model_copy(update=update))


def delete(record: FilmRecord, index: int) -> Deleted:
    """Shot ``index`` and its takes go."""
    _refuse_locked(record, index, "deleted")
    return Deleted(shot=index)


def move(record: FilmRecord, index: int, to: int) -> Moved:
    """Shot ``index`` becomes shot ``to``."""
    record.shot(index)
    record.shot(to)
    return Moved(shot=index, to=to)


def retake(
    history: History,
    geometry: Geometry,
    index: int,
    seed: int | None,
    caption: str | None,
    seconds: float | None,
    lora: Mapping[str, float] | None = None,
) -> Queued:
    """Another take of a made shot with a new seed, and another caption, length or adapters where given."""
    record, shot = history.record, history.record.shot(index)
    old = _made_choice(record, index, "retaken")
    _refuse_full(history, 0)
    checked = checked_shot(index, shot.caption if caption is None else caption, seconds, seed, lora)
    base = record.seed if shot.seed is None else shot.seed
    take = TakeRecord(
        id=history.next_take,
        seed=_seed(record, index, seed, base, len(shot.takes)),
        changes=old.changes if caption is None else _captioned(shot, checked.caption),
        blocks=_as_long(shot, old) if seconds is None else checked.blocks(geometry),
        lora=lora_uses(checked.lora),
    )
    return Queued(takes=(QueuedTake(shot=index, take=take),))


def revise(
    record: FilmRecord, geometry: Geometry, index: int, caption: str | None, seconds: float | None, seed: int | None
) -> Revised:
    """Another caption, length or seed for the queued take of a shot."""
    shot = record.shot(index)
    if not shot.queued:
        raise InputError(f"nothing of shot {index} is still to be made; retake it")
    take = shot.queued[-1]
    checked = checked_shot(index, shot.caption_at(take, 0) if caption is None else caption, seconds, seed)
    update: dict[str, object] = {"changes": take.changes if caption is None else _captioned(shot, checked.caption)}
    if seconds is not None:
        update["blocks"] = checked.blocks(geometry)
    if seed is not None:
        update["seed"] = seed
    return Revised(shot=index, take=take.model_copy(update=update))


def retell(global_caption: str) -> Retold:
    """Another global caption for the whole film."""
    return Retold(global_caption=checked_global_caption(global_caption))


def set_context_policy(policy: str | None) -> ContextPolicySet:
    """Another context policy for the whole film."""
    return ContextPolicySet(policy=checked_policy(policy))


def set_lora(lora: Mapping[str, float] | None) -> LoraSet:
    """Other adapters for takes to come."""
    return LoraSet(lora=lora_uses(checked_shot(0, "-", lora=lora).lora))


def remake(history: History, indices: Sequence[int]) -> Queued:
    """The chosen takes of these shots again, each with its own seed, in this order."""
    takes = []
    for number, index in enumerate(indices):
        old = _made_choice(history.record, index, "remade")
        if old.source:
            raise InputError(f"shot {index} is from {old.source}, not made by the model; retake it to have it made")
        as_long = _as_long(history.record.shot(index), old)
        take = TakeRecord(
            id=history.next_take + number,
            seed=old.seed,
            changes=old.changes,
            blocks=as_long,
            trim=old.trim,
            lora=old.lora,
        )
        takes.append(QueuedTake(shot=index, take=take))
    _refuse_full(history, 0, len(takes))
    return Queued(takes=tuple(takes))


def choose(record: FilmRecord, index: int, take: TakeRecord) -> Chosen:
    """Choose a made take of shot ``index``."""
    _refuse_locked(record, index, "changed")
    if not take.made:
        raise InputError(f"take {take.id} of shot {index} is not made yet; wait for it first")
    return Chosen(shot=index, take=take.id)


def remove(record: FilmRecord, *ids: int) -> Removed:
    """Take queued takes out of the queue."""
    for id in ids:
        index, take = record.find(id)
        if take.made:
            raise InputError(f"take {id} of shot {index} is {take.state}; only a queued take can be removed")
    return Removed(take=ids[0], also=ids[1:])


def lock(record: FilmRecord, index: int, locked: bool) -> Locked:
    """Lock a made shot that has no queued take, or unlock it."""
    shot = record.shot(index)
    if locked:
        _choice(record, index)
        if shot.queued:
            raise InputError(f"shot {index} has a take that is still to be made; wait for it or remove it first")
    return Locked(shot=index, locked=locked)


def trim(record: FilmRecord, id: int, start: int, stop: int) -> Trimmed:
    """Frames ``start`` to ``stop`` (without that one) of a made take are in the film."""
    index, take = _made_take(record, id, "trimmed")
    _refuse_locked(record, index, "trimmed")
    if not 0 <= start < stop <= take.frames:
        said = f"give a first frame from 0 to {take.frames - 1} and an end behind it, at most {take.frames}"
        raise InputError(f"take {id} has {take.frames} frames and cannot be trimmed to {start} to {stop}; {said}")
    whole = (start, stop) == (0, take.frames)
    return Trimmed(take=id, trim=None if whole else Trim(start=start, stop=stop))


def mark(record: FilmRecord, id: int, frame: int, text: str) -> Marked:
    """A note at ``frame`` of a made take, in the place of the one that is there; without words, none."""
    _, take = _made_take(record, id, "marked")
    if not 0 <= frame < take.frames:
        raise InputError(f"take {id} has {take.frames} frames, counted from 0; there is no frame {frame} to mark")
    text = " ".join(text.split())
    if len(text) > MAX_NAME:
        raise InputError(f"a marker has at most {MAX_NAME} characters, not {len(text)}")
    rest = [marker for marker in take.markers if marker.frame != frame]
    if text:
        rest.append(Marker(frame=frame, text=text))
    if len(rest) > MAX_MARKERS:
        raise InputError(f"take {id} has {MAX_MARKERS} markers already; remove one first")
    return Marked(take=id, markers=tuple(sorted(rest, key=lambda marker: marker.frame)))


def branch(history: History, name: str, after: int) -> Branched:
    """A branch of its own that has the shots up to and with shot ``after`` (-1: none)."""
    record = history.record
    if after != -1:
        record.shot(after)
    if len(record.branches) >= MAX_BRANCHES:
        raise InputError(f"a film has at most {MAX_BRANCHES} branches; drop one first")
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InputError("a branch needs a name of 1 to 80 characters")
    if any(branch.name == name for branch in record.branches):
        raise InputError(f"there is a branch {name!r} already; give another name")
    return Branched(id=history.next_branch, name=name, shots=after + 1)


def switch(record: FilmRecord, name: str) -> Switched:
    """The film goes on along branch ``name``."""
    found = _branch(record, name)
    if found.id == record.branch:
        raise InputError(f"the film is on branch {name!r} already")
    return Switched(branch=found.id)


def drop(record: FilmRecord, name: str) -> Dropped:
    """Branch ``name`` goes."""
    found = _branch(record, name)
    if found.id == record.branch:
        raise InputError(f"the film is on branch {name!r}; switch to another one first")
    return Dropped(branch=found.id)


def _branch(record: FilmRecord, name: str) -> BranchRecord:
    found = next((branch for branch in record.branches if branch.name == name), None)
    if found is None:
        known = ", ".join(repr(branch.name) for branch in record.branches)
        raise InputError(f"there is no branch {name!r}; there are {known}")
    return found


def _changes(at: int, shot: Shot, blocks: int, geometry: Geometry) -> tuple[Change, ...]:
    """The changes of a story's shot of so many blocks: each begins with the block that is nearest to its moment."""
    changes = tuple(change_of(geometry, geometry.blocks_for(one.seconds), one) for one in shot.changes or ())
    starts = [change.block for change in changes]
    if len(set(starts)) < len(starts) or (starts and starts[-1] >= (MAX_ENDLESS if shot.endless else blocks)):
        raise InputError(
            f"shot {at}: its changes must be in different blocks and before its end; it is "
            f"{geometry.shot_seconds(blocks):g} s long, its first block {geometry.shot_seconds(1):g} s"
        )
    return changes


def _captioned(shot: ShotRecord, caption: str) -> tuple[Change, ...]:
    """The changes of a take of ``shot`` that is made under ``caption`` from its first block."""
    return () if caption == shot.caption else (Change(block=0, caption=caption),)


def _as_long(shot: ShotRecord, take: TakeRecord) -> int | None:
    """The blocks of a finished take that was to have a length of its own; None: the shot's."""
    own = shot.endless or (take.state == "finished" and len(take.block_frames) != shot.blocks)
    return len(take.block_frames) if own else None


def _seed(record: FilmRecord, shot: int, given: int | None, base: int, number: int) -> int:
    """The seed of the ``number``-th take of a shot: as given, else named after its place, and like no other here."""
    if given is not None:
        return given
    taken = {take.seed for take in record.takes()}
    while (named := derive(base, "shot", shot, "take", number)) in taken:
        number += 1
    return named


def _choice(record: FilmRecord, index: int) -> TakeRecord:
    choice = record.shot(index).choice
    if choice is None:
        raise InputError(f"shot {index} is not made yet; wait for its take first")
    return choice


def _made_choice(record: FilmRecord, index: int, what: str) -> TakeRecord:
    """The chosen take of a shot, if it may be ``what``."""
    choice = _choice(record, index)
    _refuse_locked(record, index, what)
    return choice


def _made_take(record: FilmRecord, id: int, what: str) -> tuple[int, TakeRecord]:
    """Index of the shot of the made take ``id``, and the take."""
    index, take = record.find(id)
    if not take.made:
        raise InputError(f"take {id} of shot {index} is not made yet and cannot be {what}; wait for it first")
    return index, take


def _refuse_locked(record: FilmRecord, index: int, what: str) -> None:
    if record.shot(index).locked:
        raise InputError(f"shot {index} is locked and cannot be {what}; unlock it first")


def _refuse_place(record: FilmRecord, at: int) -> None:
    if not 0 <= at <= len(record.shots):
        raise InputError(f"a shot can be put in at 0 to {len(record.shots)}, not at {at}")


def _refuse_full(history: History, shots: int, takes: int = 1) -> None:
    """Refuse what a film file could not hold."""
    record = history.record
    if len(record.shots) + shots > MAX_SHOTS or len(record.all_takes()) + takes > MAX_TAKES:
        raise InputError(f"a film has at most {MAX_SHOTS} shots and {MAX_TAKES} takes; begin another one")
