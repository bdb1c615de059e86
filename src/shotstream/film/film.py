"""A film: a story being made, shot by shot. Commands change it; takes are made when they are iterated.

A shot is conditioned on the chosen takes of the shots before it, as shown (uint8). A film that was saved and opened
again therefore continues exactly as one that was never closed.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError
from shotstream.core.files import make_folder, sync
from shotstream.core.geometry import Geometry
from shotstream.core.story import Story
from shotstream.film.disk.archive import Accept, accept_any, pack, unpack
from shotstream.film.disk.folder import ClosedLedger, FilmFolder, Ledger, SnapshotLedger, empty_folder, takes_of
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.disk.store import TakeStore
from shotstream.film.editor import Editor
from shotstream.film.export import export_film, side_by_side
from shotstream.film.record.events import Founded
from shotstream.film.record.film_record import FilmRecord
from shotstream.film.record.history import History
from shotstream.film.record.script import checked_shot, new_record, refuse_other_size, story_of
from shotstream.film.takes.engine import Engine
from shotstream.film.takes.take import Take
from shotstream.sampling.block import Block

REPR_LETTERS = 40  # of the global caption


@dataclass(frozen=True, slots=True)
class ShotView:
    """One shot as it stands. ``stale``: the chosen take was conditioned on frames that are no longer in the film."""

    index: int
    caption: str
    seconds: float
    takes: tuple[Take, ...]
    chosen: Take | None
    stale: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class BranchView:
    """One branch. ``current``: the film is on it."""

    name: str
    shots: int
    current: bool


class Film(Editor):
    """Made by a director's ``open`` and ``reopen``. ``repairs``: what was repaired when it was opened, in words.

    ::

        with director.open(global_caption="A red fox in the snow.", seed=7) as film:
            film.shot("Wide shot. The fox walks.", seconds=2).wait()
            film.retake(0, seed=8).wait()  # both takes are kept
            film.save("fox.film")
            film.export("fox.mp4")
    """

    def __init__(
        self,
        engine: Engine,
        history: History,
        store: TakeStore,
        ledger: Ledger | None = None,
        repairs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(engine, history, store, ledger)
        self.repairs = repairs

    @classmethod
    def new(
        cls,
        engine: Engine,
        global_caption: str,
        seed: int,
        folder: Path | None = None,
        *,
        context_policy: PolicyName | None = None,
    ) -> Film:
        """A film without shots, kept in ``folder`` if one is given.

        Raises :class:`InputError` for a blank caption, an impossible seed, an unknown policy, or a folder that is not
        empty.
        """
        founded = Founded(record=new_record(global_caption, seed, engine.geometry, context_policy))
        if folder is None:
            return cls(engine, History(founded), TakeStore.of(founded.record))
        empty_folder(folder)
        return cls.from_folder(engine, FilmFolder.new(folder, founded))

    @classmethod
    def reopen(cls, engine: Engine, path: str | Path, folder: Path | None = None) -> Film:
        """Open the film in the folder ``path``, or in the film file ``path``; with ``folder``, a film file is unpacked
        there, and kept there from now on.

        A folder whose program was killed is repaired first: see ``repairs``. Raises
        :class:`InputError` if there is no film, it is damaged beyond that, of another size, or open elsewhere.
        """
        path = Path(path)
        if path.is_dir():
            return cls.from_folder(engine, FilmFolder.open(path))
        if folder is not None:
            return cls.from_folder(engine, import_film(path, folder, engine.geometry))
        record, store = unpack(path)
        try:
            _refuse_other_size(record, engine.geometry, path)
        except InputError:
            store.close()
            raise
        return cls(engine, History.of(record), store)

    @classmethod
    def from_folder(cls, engine: Engine, folder: FilmFolder) -> Film:
        """The film of a folder that was opened. Raises :class:`InputError` if it is of another size."""
        try:
            _refuse_other_size(folder.history.record, engine.geometry, folder.folder)
        except InputError:
            folder.close()
            raise
        film = cls(engine, folder.history, folder.store(), folder, folder.repairs)
        weakref.finalize(film, folder.close)  # a film nobody holds any more is no longer open
        return film

    def snapshot(self) -> Film:
        """The film as it stands, to read, save and export, in another thread if need be, while this one goes on."""
        return Film(self.engine, History.of(self.record), self.store, SnapshotLedger())

    @property
    def seed(self) -> int:
        return self.record.seed

    @property
    def shots(self) -> tuple[ShotView, ...]:
        """Every shot as it stands now."""
        return _shots_of(self)

    @property
    def branches(self) -> tuple[BranchView, ...]:
        """Every way the film goes, the oldest first."""
        return _branches_of(self)

    def play(self) -> Iterator[tuple[Take, Block]]:
        """Make the queued takes, in order, and those queued meanwhile, until the film is paused: every block as it is
        made."""
        while self.queue and not self.paused:
            take = self.queue[0]
            for block in take:
                yield take, block
            self.prepare()

    def prepare(self) -> None:
        """Run the context pass of the next shot, and encode its prompt if it is known, so that it starts sooner. Costs
        nothing if already done."""
        self.maker.prepare()

    def read_ahead(self, caption: str) -> None:
        """Encode a caption that may be the next shot's, such as a draft: its shot then starts sooner, and is the same.

        Raises :class:`InputError` for a caption no shot may have.
        """
        draft = checked_shot(len(self.record.shots), caption)
        self.engine.read_ahead(self.engine.prompt(self.global_caption, draft.caption, len(self.record.shots)))

    def save(self, path: str | Path) -> None:
        """Write the film, all branches and takes included, as one file, whole or not at all.

        Raises :class:`StorageError`.
        """
        self.maker.refuse_while_running("save")
        self._refuse_if_closed()
        pack(self.record, self.store, Path(path))

    def export(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        storyboard: str | Path | None = None,
        shot: int | None = None,
        force: bool = False,
        fps: int | None = None,
        sound: str | Path | None = None,
    ) -> list[Path]:
        """Write the chosen takes, or those of ``shot`` alone, as ``path`` ends, or as the ``format`` called so, such as
        clips (a folder); see :mod:`shotstream.film.export`. Returns every file written.

        force: replace files that exist. fps: another rate, by showing frames for longer or leaving some out; none are
        made. sound: a file whose sound track is laid under MP4, clips, OTIO and EDL. Raises :class:`InputError` for a
        suffix or format that means nothing, a shot that is none, sound that cannot be read, and files that exist;
        :class:`StorageError` when the disk refuses.
        """
        self.maker.refuse_while_running("export")
        self._refuse_if_closed()
        board = None if storyboard is None else Path(storyboard)
        return export_film(
            self.record,
            self.store,
            Path(path),
            name=format,
            storyboard=board,
            shot=shot,
            force=force,
            fps=fps,
            sound=None if sound is None else Path(sound),
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame that is in the film, in order: uint8 [height, width, 3] RGB."""
        for shot in self.record.shots:
            if shot.choice is not None:
                shown = shot.choice.shown
                yield from islice(self.store.stream(shot.choice), shown.start, shown.stop)

    def compare(self, shot: int, takes: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Takes of ``shot`` side by side, in time: see :func:`shotstream.film.export.side_by_side`."""
        return side_by_side(self.record.shot(shot), self.store, takes)

    def story(self) -> Story:
        """The script that makes this film: captions, lengths, and the seeds of the chosen takes.

        Raises :class:`InputError` if the film has no shots.
        """
        return story_of(self.record, self.geometry)

    def close(self) -> None:
        """Close the film for good. What is in its folder stays; a film without a folder is gone, unless it was saved.

        Any later use is an error. ``with`` closes it at the end.
        """
        if self.running is not None:
            self.running.abandon()
        self.ledger.close()
        if not isinstance(self.ledger, SnapshotLedger):  # a snapshot's takes are another film's
            self.store.close()
        self.ledger = ClosedLedger()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if isinstance(self.ledger, ClosedLedger):
            return "<film, closed>"
        made = sum(shot.choice is not None for shot in self.record.shots)
        caption = " ".join(self.record.global_caption.split())
        shown = caption if len(caption) <= REPR_LETTERS else caption[: REPR_LETTERS - 1] + "…"
        return f"<film {shown!r}: {len(self.record.shots)} shots, {made} made, seed {self.record.seed}>"

    def _refuse_if_closed(self) -> None:
        if isinstance(self.ledger, ClosedLedger):
            self.ledger.refuse_if_closed()


def import_film(path: Path, folder: Path, geometry: Geometry, accept: Accept = accept_any) -> FilmFolder:
    """Keep the film in the file ``path`` in ``folder`` from now on; needs no model, and may run in any thread.

    accept: asked before the footage is unpacked. Whatever goes wrong, nothing is left of it. Raises
    :class:`InputError` if it is none, damaged or of another size, and what ``accept`` raises.
    """

    def wanted(record: FilmRecord, unpacked: int) -> None:
        refuse_other_size(record, geometry)
        accept(record, unpacked)

    fresh = not folder.exists()
    if fresh:
        make_folder(folder.parent)
    else:
        empty_folder(folder).rmdir()
    try:
        with ScratchFolder(folder.parent) as scratch:  # killed here, it is gone at the next start
            record, store = unpack(path, scratch, wanted)
            ready = takes_of(scratch / "ready")
            make_folder(ready)
            for take in record.all_takes():
                if take.made and store.path(take).exists():
                    store.path(take).replace(ready / store.path(take).name)
            sync(ready)
            (ready.parent if fresh else ready).rename(folder if fresh else takes_of(folder))
        sync(folder.parent)
        return FilmFolder.new(folder, Founded(record=record))
    except BaseException:
        shutil.rmtree(folder if fresh else takes_of(folder), ignore_errors=True)
        raise


def _refuse_other_size(record: FilmRecord, geometry: Geometry, path: Path) -> None:
    try:
        refuse_other_size(record, geometry)
    except InputError as fault:
        raise InputError(f"{path}: {fault}") from fault


def _shots_of(film: Editor) -> tuple[ShotView, ...]:
    """Every shot of the branch ``film`` is on."""
    stale = film.stale
    return tuple(
        ShotView(
            index=index,
            caption=shot.current_caption,
            seconds=film.geometry.shot_seconds(shot.blocks),
            takes=tuple(film.take(take.id) for take in shot.takes),
            chosen=None if shot.chosen is None else film.take(shot.chosen),
            stale=index in stale,
            locked=shot.locked,
        )
        for index, shot in enumerate(film.record.shots)
    )


def _branches_of(film: Editor) -> tuple[BranchView, ...]:
    """Every branch, the oldest first."""
    record = film.record
    return tuple(BranchView(one.name, len(one.shots), one.id == record.branch) for one in record.branches)
