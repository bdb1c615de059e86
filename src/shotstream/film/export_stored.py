"""Exporting a film that is kept on disk: what can go wrong is found out before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import ready_to_write
from shotstream.film.archive import pack
from shotstream.film.export import WHOLE
from shotstream.film.stored import read_stored
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.formats import cut_down, format_named, format_of
from shotstream.media.exports.media_folder import media_folder


class ExportReport(Config):
    """What was exported: every file written, and the film's made shots, its frames and frames per second."""

    files: tuple[str, ...]
    shots: int
    frames: int
    fps: int


def export_stored(
    source: Path, outputs: Sequence[Path] = (), *, name: str | None = None, shot: int | None = None, force: bool = False
) -> ExportReport:
    """Export the film in the file or folder ``source`` to every one of ``outputs``, or to a file beside it.

    name: the format, where no suffix says it; alone, that of the file beside the film (None: mp4). shot: that shot
    alone. force: replace files that exist. Raises :class:`InputError` for what is wrong with the film, a name or the
    shot, :class:`StorageError` when the disk refuses.
    """
    paths = list(dict.fromkeys(outputs)) or [_beside(source, name or "mp4")]
    whole = [path for path in paths if name is None and path.suffix.lower() == WHOLE]
    formats = {path: format_of(path, name) for path in paths if path not in whole}  # before the film is read
    record, store = read_stored(source)
    film = timeline_of(record, store, source.stem)
    timelines = {path: cut_down(timeline_of(record, store, path.stem), one, shot) for path, one in formats.items()}
    wanted = [*whole, *(file for path, timeline in timelines.items() for file in formats[path].files(timeline, path))]
    folders = {path if not one.suffixes else media_folder(path) for path, one in formats.items()}
    for file in wanted:
        _refuse_what_could_not_be_written(file, folders, source, force)
    for path in whole:
        pack(record, store, path)
    for path, timeline in timelines.items():
        formats[path].write(timeline, path)
    files = tuple(dict.fromkeys(str(file) for file in wanted))
    return ExportReport(files=files, shots=len(film.shots), frames=film.frames, fps=film.picture.fps)


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
