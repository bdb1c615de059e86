"""A film: a story being made, shot by shot. Commands change it; takes are made when they are looked at.

One rule for what a shot remembers: the chosen takes of the shots before it, as shown (uint8). A film that was
saved and opened again therefore goes on exactly as one that never was closed.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.story import Story, full_prompt
from shotstream.film.archive import pack, unpack
from shotstream.film.compare import side_by_side
from shotstream.film.editor import Editor
from shotstream.film.engine import Engine
from shotstream.film.events import Founded
from shotstream.film.export import export_film
from shotstream.film.folder import FilmFolder, Ledger, ReadOnly, empty_folder
from shotstream.film.history import History
from shotstream.film.outline import BranchView, ShotView, branches_of, shots_of
from shotstream.film.record import FilmRecord
from shotstream.film.script import checked_shot, new_record, refuse_other_size, story_of
from shotstream.film.store import TakeStore
from shotstream.film.take import Take, TakeBlock


class Film(Editor):
    """Made by a director's ``open`` and ``reopen``. ``repairs``: what had to be mended when it was opened, in words."""

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
    def new(cls, engine: Engine, global_caption: str, seed: int, folder: Path | None = None) -> Film:
        """A film without shots, kept in ``folder`` if one is given.

        Raises :class:`InputError` for a blank caption, an impossible seed, or a folder that is not empty.
        """
        founded = Founded(record=new_record(global_caption, seed, engine.geometry))
        if folder is None:
            return cls(engine, History(founded), TakeStore.of(founded.record))
        empty_folder(folder)
        return cls._kept(engine, FilmFolder.new(folder, founded))

    @classmethod
    def reopen(cls, engine: Engine, path: str | Path, folder: Path | None = None) -> Film:
        """The film kept in the folder ``path``, or in the file ``path``; that one is kept in ``folder`` from now on.

        A folder that was left in the middle of something is mended first: see ``repairs``. Raises
        :class:`InputError` if there is no film, it is damaged beyond that, of another size, or open elsewhere.
        """
        path = Path(path)
        if path.is_dir():
            return cls._kept(engine, FilmFolder.open(path))
        takes = None if folder is None else empty_folder(folder)
        try:
            record, store = unpack(path, takes)
            _refuse_other_size(record, engine, path)
        except BaseException:
            if takes is not None:
                shutil.rmtree(takes, ignore_errors=True)
            raise
        if folder is None:
            return cls(engine, History.of(record), store)
        return cls._kept(engine, FilmFolder.new(folder, Founded(record=record)))

    @classmethod
    def _kept(cls, engine: Engine, kept: FilmFolder) -> Film:
        try:
            _refuse_other_size(kept.history.record, engine, kept.folder)
        except InputError:
            kept.close()
            raise
        film = cls(engine, kept.history, kept.store(), kept, kept.repairs)
        weakref.finalize(film, kept.close)  # a film nobody holds any more is no longer open
        return film

    def snapshot(self) -> Film:
        """The film as it stands, to read, save and export, in another thread if need be, while this one goes on."""
        return Film(self.engine, History.of(self.record), self.store, ReadOnly())

    @property
    def seed(self) -> int:
        return self.record.seed

    @property
    def shots(self) -> tuple[ShotView, ...]:
        """Every shot as it stands now."""
        return shots_of(self)

    @property
    def branches(self) -> tuple[BranchView, ...]:
        """Every way the film goes, the oldest first."""
        return branches_of(self)

    def play(self) -> Iterator[tuple[Take, TakeBlock]]:
        """Make what is planned, in order, and what is planned meanwhile, until the film is paused: every block as it
        is made."""
        while self.queue and not self.paused:
            take = self.queue[0]
            for block in take:
                yield take, block
            self.prepare()

    def prepare(self) -> None:
        """Recall the past for the shot that comes next, and read what it is to be, if that is known, so that it starts
        sooner. Costs nothing if already done."""
        self.maker.prepare()

    def read_ahead(self, caption: str) -> None:
        """Read a caption that may be the next shot's, such as a draft: then its shot starts sooner, and is the same.

        Raises :class:`InputError` for a caption no shot may have.
        """
        draft = checked_shot(len(self.record.shots), caption)
        self.engine.read_ahead(full_prompt(self.global_caption, draft.caption))

    def save(self, path: str | Path) -> None:
        """Write the film, all branches and takes included, as one file, whole or not at all.

        Raises :class:`StorageError`.
        """
        self.maker.refuse_while_running("save")
        pack(self.record, self.store, Path(path))

    def export(self, path: str | Path, *, storyboard: str | Path | None = None, shot: int | None = None) -> list[Path]:
        """Write the chosen takes, or those of ``shot`` alone, as ``path`` ends; see :mod:`shotstream.film.export`."""
        self.maker.refuse_while_running("export")
        board = None if storyboard is None else Path(storyboard)
        return export_film(self, Path(path), storyboard=board, shot=shot)

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame of the chosen takes, in film order: uint8 [height, width, 3] RGB."""
        for shot in self.record.shots:
            if shot.choice is not None:
                yield from self.store.frames(shot.choice)

    def compare(self, shot: int, takes: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Takes of ``shot`` side by side, in time: see :func:`shotstream.film.compare.side_by_side`."""
        return side_by_side(self.record.shot(shot), self.store, takes)

    def story(self) -> Story:
        """The script that makes this film: captions, lengths, and the seeds of the chosen takes.

        Raises :class:`InputError` if the film has no shots.
        """
        return story_of(self.record, self.geometry)

    def close(self) -> None:
        """Let go of the film: what is kept in a folder stays there, all else is gone. Save first what is to be kept."""
        if self.running is not None:
            self.running.abandon()
        self.ledger.close()
        self.store.close()


def _refuse_other_size(record: FilmRecord, engine: Engine, path: Path) -> None:
    try:
        refuse_other_size(record, engine.geometry)
    except InputError as fault:
        raise InputError(f"{path}: {fault}") from fault
