"""A film: a story being made, shot by shot. Commands change it; takes are made when they are looked at.

One rule for what a shot remembers: the chosen takes of the shots before it, as shown (uint8). A film that was
saved and opened again therefore goes on exactly as one that never was closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import Shot, Story, make_story
from shotstream.film.archive import pack, unpack
from shotstream.film.engine import Engine
from shotstream.film.export import export_film
from shotstream.film.folder import FilmFolder, Ledger, NoLedger
from shotstream.film.memory import past_of, prompt_of, refuse_gap, stale_shots, would_see
from shotstream.film.progress import Prepared, Running, recalled
from shotstream.film.record import MAX_BLOCKS, MAX_TAKE_FRAMES, FilmRecord, ShotRecord, TakeRecord
from shotstream.film.store import TakeStore
from shotstream.film.take import Take, TakeBlock
from shotstream.sampling.director import Block, ShotPlan, full_prompt
from shotstream.sampling.noise import NamedNoise


@dataclass(frozen=True, slots=True)
class ShotView:
    """One shot as it stands. ``stale``: the chosen take saw frames that are no longer in the film."""

    index: int
    caption: str
    seconds: float
    takes: tuple[Take, ...]
    chosen: Take | None
    stale: bool


class Film:
    """Made by a director's ``open`` and ``reopen``. ``ledger``: where every change is written before it counts."""

    def __init__(self, engine: Engine, record: FilmRecord, store: TakeStore, ledger: Ledger | None = None) -> None:
        _same_size(record, engine.geometry)
        self.engine = engine
        self.store = store
        self._record = record
        self._ledger = ledger or NoLedger()
        self._takes: dict[int, Take] = {}
        self._running: Running | None = None
        self._prepared: Prepared | None = None
        self._next_id = record.next_id()

    @classmethod
    def new(cls, engine: Engine, global_caption: str, seed: int, folder: Path | None = None) -> Film:
        """A film without shots, kept in ``folder`` if one is given.

        Raises :class:`InputError` for a blank caption, an impossible seed, or a folder that is not empty.
        """
        checked = make_story({"global_caption": global_caption, "seed": seed, "shots": [{"caption": "-"}]}, "film")
        sizes = engine.geometry.model_dump(include={"width", "height", "fps"})
        record = FilmRecord(global_caption=checked.global_caption, seed=checked.seed, **sizes)
        if folder is None:
            return cls(engine, record, TakeStore.of(record))
        kept = FilmFolder.new(folder)
        kept.write(record)
        return cls(engine, record, kept.store(record), kept)

    @classmethod
    def reopen(cls, engine: Engine, path: str | Path, folder: Path | None = None) -> Film:
        """The film kept in the folder ``path``, or in the file ``path``; that one is kept in ``folder`` from now on.

        Raises :class:`InputError` if it is none, damaged, or of another size.
        """
        path = Path(path)
        kept = FilmFolder(path) if path.is_dir() else None
        if kept is not None:
            record = kept.read()
            store = kept.store(record)
        else:
            kept = None if folder is None else FilmFolder.new(folder)
            record, store = unpack(path, None if kept is None else kept.takes)
        try:
            film = cls(engine, record, store, kept)
        except InputError as fault:
            raise InputError(f"{path}: {fault}") from fault
        if kept is not None:
            kept.write(record)
        return film

    @property
    def record(self) -> FilmRecord:
        """Everything the film is but its pixels. Setting it writes the ledger first: what is not durable is not so."""
        return self._record

    @record.setter
    def record(self, record: FilmRecord) -> None:
        self._ledger.write(record)
        self._record = record

    @property
    def running(self) -> Take | None:
        """The take that is being made."""
        return None if self._running is None else self._running.take

    @property
    def queue(self) -> tuple[Take, ...]:
        """Planned takes, in the order they were asked for."""
        planned = sorted(take.id for take in self.record.takes() if take.state == "planned")
        return tuple(self.take(id) for id in planned if self.running is None or id != self.running.id)

    def snapshot(self) -> Film:
        """The film as it stands, to read, save and export, in another thread if need be, while this one goes on."""
        return Film(self.engine, self.record, self.store)

    @property
    def geometry(self) -> Geometry:
        return self.engine.geometry

    @property
    def global_caption(self) -> str:
        return self.record.global_caption

    @property
    def seed(self) -> int:
        return self.record.seed

    @property
    def shots(self) -> tuple[ShotView, ...]:
        """Every shot as it stands now."""
        stale = self.stale
        return tuple(
            ShotView(
                index=index,
                caption=shot.caption,
                seconds=self.geometry.shot_seconds(shot.blocks),
                takes=tuple(self.take(take.id) for take in shot.takes),
                chosen=None if shot.chosen is None else self.take(shot.chosen),
                stale=index in stale,
            )
            for index, shot in enumerate(self.record.shots)
        )

    @property
    def stale(self) -> tuple[int, ...]:
        """Shots whose chosen take remembers frames that are no longer in the film; in film order."""
        return stale_shots(self.record, self.store, self.engine)

    def take(self, id: int) -> Take:
        """The handle of the take with this id: always the same object."""
        return self._takes.setdefault(id, Take(self, id))

    # commands

    def shot(self, caption: str, seconds: float | None = None, seed: int | None = None) -> Take:
        """Add a shot at the end; returns its first take, planned.

        seconds: 0.3 to 5.5, rounded to whole blocks; None is the preset's usual length. seed: names the take's
        noise; None derives it from the film's. Raises :class:`InputError`.
        """
        index = len(self.record.shots)
        shot = _checked_shot(index, {"caption": caption, "seconds": seconds, "seed": seed})
        first = self._new_take(index, shot.seed, None, 0)
        blocks = shot.blocks(self.geometry)
        self.record = self.record.with_shot(
            index, ShotRecord(caption=shot.caption, blocks=blocks, seed=shot.seed, takes=(first,))
        )
        return self.take(first.id)

    def retake(self, shot: int, seed: int | None = None) -> Take:
        """Another take of ``shot``, planned, with noise of its own; made, it becomes the choice and the old is kept.

        Later shots that saw the old choice are stale then. Raises :class:`InputError` if the shot has no made take.
        """
        old = self._made_choice(shot)
        record = self.record.shots[shot]
        _checked_shot(shot, {"caption": record.caption, "seed": seed})
        take = self._new_take(shot, seed, record.seed, len(record.takes))
        return self._plan(shot, take.model_copy(update={"changes": old.changes}))

    def remake(self, shot: int) -> Take:
        """The chosen take of ``shot`` again, planned: its own noise, under what the film's earlier shots are now."""
        old = self._made_choice(shot)
        return self._plan(shot, TakeRecord(id=self._new_id(), seed=old.seed, changes=old.changes))

    def choose(self, shot: int, take: int | Take) -> None:
        """Make ``take`` (its place among the shot's takes, from 0, or the take) the one that is in the film."""
        record = self._shot_record(shot)
        if isinstance(take, Take):
            found = next((one for one in record.takes if one.id == take.id and take is self.take(one.id)), None)
        else:
            found = record.takes[take] if 0 <= take < len(record.takes) else None
        if found is None:
            raise InputError(f"shot {shot} has {len(record.takes)} takes, counted from 0; {take!r} is none of them")
        if found.state == "planned":
            raise InputError(f"take {found.id} of shot {shot} is not made yet; wait for it first")
        self._refuse_while_running("choose")
        self.record = self.record.with_take(shot, found, choose=True)

    def remove(self, take: Take) -> None:
        """Take a planned take out of the queue, and its shot, if it has no other. Raises :class:`InputError`."""
        if take.state != "planned":
            raise InputError(f"take {take.id} of shot {take.shot} is {take.state}; only a planned take can be removed")
        self.record = self.record.without_take(take.shot, take.id)
        self._takes.pop(take.id, None)

    def play(self) -> Iterator[tuple[Take, TakeBlock]]:
        """Make what is planned, in order, and what is planned meanwhile: every block as it is made."""
        while self.queue:
            take = self.queue[0]
            for block in take:
                yield take, block
            self.prepare()

    def prepare(self) -> None:
        """Recall the past for the shot that comes next, and read what it is to be, if that is known, so that it starts
        sooner. Costs nothing if already done."""
        index = self.queue[0].shot if self.queue else len(self.record.shots)
        past = past_of(self.record, self.store, index)
        if not past or len(past) < index or self._running is not None:
            return
        prompt = prompt_of(self.record, index) if self.queue else past[-1].prompt
        key = recalled(past, self.engine.remembers(past, prompt))
        if self._prepared is None or self._prepared.key != key:
            self._prepared = None  # its memory goes before the next is allocated
            self._prepared = Prepared(key, self.engine.prepare(past, prompt))
        if self.queue:
            self.engine.read_ahead(prompt)

    def save(self, path: str | Path) -> None:
        """Write the film, all its takes included, as one file, whole or not at all. Raises :class:`StorageError`."""
        self._refuse_while_running("save")
        pack(self.record, self.store, Path(path))

    def export(self, path: str | Path, *, storyboard: str | Path | None = None, shot: int | None = None) -> list[Path]:
        """Write the chosen takes, or those of ``shot`` alone, as ``path`` ends; see :mod:`shotstream.film.export`."""
        self._refuse_while_running("export")
        board = None if storyboard is None else Path(storyboard)
        return export_film(self, Path(path), storyboard=board, shot=shot)

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame of the chosen takes, in film order: uint8 [height, width, 3] RGB."""
        for shot in self.record.shots:
            if shot.choice is not None:
                yield from self.store.frames(shot.choice)

    def story(self) -> Story:
        """The script that makes this film: captions, lengths, and the seeds of the chosen takes.

        Raises :class:`InputError` if the film has no shots.
        """
        shots = [script_of(shot, self.geometry) for shot in self.record.shots]
        return make_story({"global_caption": self.global_caption, "seed": self.seed, "shots": shots}, "film")

    def close(self) -> None:
        """Let go of all takes and their files. Save first what is to be kept."""
        self.store.close()

    # the takes' side of it

    def begin(self, take: Take) -> Iterator[Block]:
        """Start making ``take``: its blocks to come. Raises :class:`InputError` when it is not its turn."""
        self._refuse_while_running(f"start take {take.id} of shot {take.shot}")
        index, planned = self.record.find(take.id)
        refuse_gap(self.record, index)
        seen = would_see(self.record, self.store, self.engine, index)
        made_by = {"model": self.engine.model_name, "model_version": self.engine.model_version}
        self.record = self.record.with_take(index, planned.model_copy(update={"saw": seen, **made_by}), choose=False)
        # The take's own seed already stands for film, shot and take: its noise stays its own wherever its shot goes.
        noise = NamedNoise(planned.seed, shot=0, take=0)
        plan = ShotPlan(prompt=prompt_of(self.record, index), blocks=self.record.shots[index].blocks, noise=noise)
        past = past_of(self.record, self.store, index)
        prepared, self._prepared = self._prepared, None
        key = recalled(past, self.engine.remembers(past, plan.prompt))
        fits = prepared is not None and prepared.key == key
        self._running = Running(take, plan)
        return self.engine.make(plan, past, prepared.shot if prepared is not None and fits else None)

    def direct(self, take: Take, block: int) -> None:
        """Before ``block`` of the running ``take`` is made: let its plan say what the record says by now."""
        if self._running is not None and self._running.take is take:
            index, record = self.record.find(take.id)
            shot = self.record.shots[index]
            self._running.plan.prompt = full_prompt(self.global_caption, shot.caption_at(record, block))
            self._running.plan.blocks = shot.blocks

    def lengthen(self, take: Take, made: int, blocks: int) -> None:
        """Let the running ``take``, which has ``made`` blocks, have ``blocks`` more than its shot asks for."""
        index, _ = self.record.find(take.id)
        shot = self.record.shots[index]
        longest = MAX_TAKE_FRAMES // self.geometry.shot_frames(1) // 2
        wanted = max(shot.blocks, made) + blocks
        if blocks < 1 or wanted > min(longest, MAX_BLOCKS):
            raise InputError(f"shot {index} cannot go on for {blocks} blocks; give 1 or more, {MAX_BLOCKS} in all")
        self.record = self.record.with_shot(index, shot.model_copy(update={"blocks": wanted}))

    def rewrite(self, take: Take, block: int, caption: str) -> None:
        """Let the running ``take`` be made under ``caption`` from ``block`` on."""
        index, record = self.record.find(take.id)
        checked = _checked_shot(index, {"caption": caption})
        self.record = self.record.with_take(index, record.changed(block, checked.caption), choose=False)

    def keep(self, take: Take, state: Literal["finished", "cut"], blocks: list[np.ndarray]) -> None:
        """Store the blocks of a take that has ended, and choose it."""
        lengths = tuple(len(frames) for frames in blocks)
        made = take.record.model_copy(update={"state": state, "block_frames": lengths})
        self.store.add(made, np.concatenate(blocks))
        self.record = self.record.with_take(take.shot, made, choose=True)

    def ended(self, take: Take) -> None:
        """``take`` no longer runs."""
        if self.running is take:
            self._running = None

    def _plan(self, shot: int, take: TakeRecord) -> Take:
        self.record = self.record.with_take(shot, take, choose=False)
        return self.take(take.id)

    def _new_take(self, shot: int, seed: int | None, shot_seed: int | None, number: int) -> TakeRecord:
        """The ``number``-th take of a shot. Its noise has a name of its own, unless a person named it."""
        base = self.seed if shot_seed is None else shot_seed
        named = derive(base, "shot", shot, "take", number) if seed is None else seed
        return TakeRecord(id=self._new_id(), seed=named)

    def _new_id(self) -> int:
        """An id no take of this film ever had: an old handle must never come to mean another take."""
        self._next_id = max(self._next_id, self.record.next_id()) + 1
        return self._next_id - 1

    def _shot_record(self, shot: int) -> ShotRecord:
        if not 0 <= shot < len(self.record.shots):
            raise InputError(f"there is no shot {shot}; the film has {len(self.record.shots)}, counted from 0")
        return self.record.shots[shot]

    def _made_choice(self, shot: int) -> TakeRecord:
        choice = self._shot_record(shot).choice
        if choice is None:
            raise InputError(f"shot {shot} is not made yet; wait for its take first")
        return choice

    def _refuse_while_running(self, what: str) -> None:
        if self.running is not None:
            busy = f"take {self.running.id} of shot {self.running.shot} is running"
            raise InputError(f"cannot {what}: {busy}; wait() for it or cut() it first")


def _checked_shot(index: int, data: dict[str, object]) -> Shot:
    """A shot under the rules of a story. Raises :class:`InputError` that calls it shot ``index``."""
    try:
        return make_story({"global_caption": "-", "shots": [data]}, "film").shots[0]
    except InputError as fault:
        raise InputError(str(fault).replace("film: shots[0]", f"shot {index}:", 1).replace(":.", ": ")) from fault


def script_of(shot: ShotRecord, geometry: Geometry) -> dict[str, object]:
    """One shot of a story, as data."""
    blocks = shot.blocks if shot.choice is None else len(shot.choice.block_frames)
    seed = shot.seed if shot.choice is None else shot.choice.seed
    longest = min(blocks, geometry.max_blocks)  # a story has no longer shots, and none that change in the middle
    return {"caption": shot.caption, "seconds": geometry.shot_seconds(longest), "seed": seed}


def _same_size(record: FilmRecord, geometry: Geometry) -> None:
    """Refuse to go on with a film at another size or rate than the model's."""
    film, model = ((one.width, one.height, one.fps) for one in (record, geometry))
    if film != model:
        raise InputError(
            f"the film is {film[0]}x{film[1]} at {film[2]} frames/s, the model makes "
            f"{model[0]}x{model[1]} at {model[2]}; open it with the model that made it"
        )
