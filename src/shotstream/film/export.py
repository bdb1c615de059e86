"""Exports a film in every format of :mod:`shotstream.media.exports`: an open one, or one in its file or folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import ready_to_write
from shotstream.core.geometry import Geometry
from shotstream.film.disk.archive import pack, read_stored
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import FilmRecord, ShotRecord, TakeRecord
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.clips import media_folder
from shotstream.media.exports.formats import cut_down, format_named, format_of, write_export
from shotstream.media.exports.storyboard import write_board as write_timelines_board
from shotstream.media.exports.timeline import Timeline, retimed
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.sound import read_sound

MOST_COMPARED = 4  # takes in one exported comparison
_AT_ONCE = 32  # frames
WHOLE = ".film"  # the suffix of a film file, which holds every take and can be gone on with


def export_film(
    record: FilmRecord,
    store: TakeStore,
    path: Path,
    *,
    name: str | None = None,
    storyboard: Path | None = None,
    shot: int | None = None,
    force: bool = True,
    fps: int | None = None,
    sound: Path | None = None,
) -> list[Path]:
    """Write the chosen takes of the film to ``path`` as the format called ``name``, or its suffix, says, and a
    storyboard if asked for.

    shot: that shot alone. force: replace files that exist. fps, sound: as in :func:`presented`. Returns every file
    written; each is whole. Raises
    :class:`InputError` if the film has no made shot, the suffix means nothing, or a file exists; :class:`StorageError`
    when the disk refuses.
    """
    if storyboard is not None and not force:
        ready_to_write(storyboard, force=False)
    if name is None and path.suffix.lower() == WHOLE:
        ready_to_write(path, force=force)
        pack(record, store, path)
        written = [path]
    else:
        timeline, chosen = presented(timeline_of(record, store, path.stem), fps, sound), format_of(path, name)
        # A timeline's clips may be there already, from another timeline of this film.
        files = [path] if chosen.suffixes else chosen.files(cut_down(timeline, chosen, shot), path)
        for file in files:
            if file.exists() and not force:
                raise InputError(f"{file}: already exists; name another, or replace it with force=True")
        written = write_export(timeline, path, name, shot)
    if storyboard is not None:
        write_board(record, store, storyboard)
        written.append(storyboard)
    return written


def presented(timeline: Timeline, fps: int | None, sound: Path | None) -> Timeline:
    """``timeline`` at another rate (see :func:`shotstream.media.exports.timeline.retimed`), and with the sound track of
    a file laid under its videos, where these are given. Raises :class:`InputError`."""
    timeline = timeline if fps is None else retimed(timeline, fps)
    return timeline if sound is None else replace(timeline, sound=read_sound(sound))


def write_board(record: FilmRecord, store: TakeStore, path: Path) -> None:
    """Write a PNG with frames of every made shot of the film. Raises as :func:`export_film` does."""
    write_timelines_board(timeline_of(record, store, path.stem), path)


def video_format(geometry: Geometry) -> VideoFormat:
    """What the film writer needs to know of ``geometry``."""
    return VideoFormat(width=geometry.width, height=geometry.height, fps=geometry.fps)


def side_by_side(shot: ShotRecord, store: TakeStore, takes: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """Frames of made takes of ``shot`` next to each other, left to right: uint8 [height, takes x width, 3].

    takes: their places among the shot's takes, from 0; None is all that are made. A shorter one stays on its last
    frame. Raises :class:`InputError` if there is nothing to compare.
    """
    chosen = [take for take in shot.takes if take.made] if takes is None else [_made(shot, place) for place in takes]
    if not chosen:
        raise InputError("no take of this shot is made yet; wait for one first")
    return _frames(chosen, store)


def export_comparison(record: FilmRecord, store: TakeStore, shot: int, path: Path) -> None:
    """Write the made takes of ``shot`` side by side as MP4, at most :data:`MOST_COMPARED`, the latest.

    Raises as :func:`side_by_side` and :func:`shotstream.media.mp4.write_film` do.
    """
    made = [place for place, take in enumerate(record.shot(shot).takes) if take.made][-MOST_COMPARED:]
    frames = side_by_side(record.shot(shot), store, made or None)
    wide = VideoFormat(width=record.width * len(made), height=record.height, fps=record.fps)
    with write_film(path, wide, timeline_of(record, store, path.stem).tags) as writer:
        writer.add_shot(record.shots[shot].current_caption, frames)


def _made(shot: ShotRecord, place: int) -> TakeRecord:
    if not 0 <= place < len(shot.takes):
        raise InputError(f"the shot has {len(shot.takes)} takes, counted from 0; {place} is none of them")
    if not shot.takes[place].made:
        raise InputError(f"take {shot.takes[place].id} is not made yet; wait for it first")
    return shot.takes[place]


def _frames(takes: Sequence[TakeRecord], store: TakeStore) -> Iterator[np.ndarray]:
    longest = max(take.frames for take in takes)
    for start in range(0, longest, _AT_ONCE):
        window = range(start, min(start + _AT_ONCE, longest))
        yield from np.concatenate([_window(take, store, window) for take in takes], axis=2)


def _window(take: TakeRecord, store: TakeStore, window: range) -> np.ndarray:
    """Frames ``window`` of ``take``, the last one again where it has none."""
    wanted = [min(index, take.frames - 1) for index in window]
    return store.frames(take, wanted)


class ExportReport(Config):
    """What was exported: every file written, and the film's made shots, its frames and frames per second."""

    files: tuple[str, ...]
    shots: int
    frames: int
    fps: int


def export_stored(
    source: Path,
    outputs: Sequence[Path] = (),
    *,
    name: str | None = None,
    shot: int | None = None,
    force: bool = False,
    fps: int | None = None,
    sound: Path | None = None,
) -> ExportReport:
    """Export the film in the file or folder ``source`` to every one of ``outputs``, or to a file beside it.

    name: the format, where no suffix says it; alone, that of the file beside the film (None: mp4). shot: that shot
    alone. force: replace files that exist. fps, sound: as in :func:`presented`. Raises :class:`InputError` for what is
    wrong with the film, a name or the shot, :class:`StorageError` when the disk refuses.
    """
    paths = list(dict.fromkeys(outputs)) or [_beside(source, name or "mp4")]
    whole = [path for path in paths if name is None and path.suffix.lower() == WHOLE]
    formats = {path: format_of(path, name) for path in paths if path not in whole}  # before the film is read
    record, store = read_stored(source)
    film = presented(timeline_of(record, store, source.stem), fps, sound)
    named = {path: film.tags.model_copy(update={"title": path.stem}) for path in formats}
    timelines = {path: cut_down(replace(film, tags=named[path]), one, shot) for path, one in formats.items()}
    wanted = [*whole, *(file for path, timeline in timelines.items() for file in formats[path].files(timeline, path))]
    folders = {path if not one.suffixes else media_folder(path) for path, one in formats.items()}
    for file in wanted:
        _refuse_what_could_not_be_written(file, folders, source, force)
    for path in whole:
        pack(record, store, path)
    for path, timeline in timelines.items():
        formats[path].write(timeline, path)
    files = tuple(dict.fromkeys(str(file) for file in wanted))
    return ExportReport(files=files, shots=len(film.shots), frames=film.frames, fps=film.video.fps)


def _beside(source: Path, name: str) -> Path:
    """The usual place of an export: beside the film."""
    suffixes = format_named(name).suffixes
    return source.with_suffix(suffixes[0]) if suffixes else media_folder(source)


def _refuse_what_could_not_be_written(file: Path, made: set[Path], source: Path, force: bool) -> None:
    """The folders ``made`` on the way need not be there yet."""
    if file.resolve() == source.resolve():
        raise InputError(f"{file}: is the film itself; name another")
    if file.parent in made and not file.parent.exists():
        ready_to_write(file.parent, force=force)
    else:
        ready_to_write(file, force=force)
