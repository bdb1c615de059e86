"""Making room: what undo and redo would need is forgotten, and footage goes that no branch of the film has."""

from __future__ import annotations

from pathlib import Path

from shotstream.film.events import Founded
from shotstream.film.folder import FilmFolder, usage
from shotstream.film.history import History
from shotstream.film.record import FilmRecord, ShotRecord


def fresh_start(history: History, *, unchosen: bool) -> Founded:
    """The film of ``history`` as if it began now; with ``unchosen``, without made takes that no branch has chosen."""
    return Founded(
        record=without_unchosen(history.record) if unchosen else history.record,
        next_take=history.next_take,
        next_branch=history.next_branch,
        paused=history.paused,
    )


def without_unchosen(record: FilmRecord) -> FilmRecord:
    """The film without made takes that are not chosen in any branch."""
    chosen = {shot.chosen for branch in record.branches for shot in branch.shots}

    def kept(shot: ShotRecord) -> ShotRecord:
        takes = tuple(take for take in shot.takes if not take.made or take.id in chosen)
        return shot.model_copy(update={"takes": takes}) if takes else shot

    return record.everywhere(lambda shots: tuple(kept(shot) for shot in shots))


def clean_folder(folder: Path, *, unchosen: bool = False) -> int:
    """Clean the film kept in ``folder``, which nobody has open; returns the bytes freed.

    Raises :class:`InputError` if there is none or it is open elsewhere, :class:`StorageError`.
    """
    before = usage(folder)
    kept = FilmFolder.open(folder)
    try:
        founded = fresh_start(kept.history, unchosen=unchosen)
        kept.restart(founded)
        kept.store().keep_only(History(founded).footage)
    finally:
        kept.close()
    return before - usage(folder)
