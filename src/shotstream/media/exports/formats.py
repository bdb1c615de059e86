"""What a film can be exported as: one table of formats, chosen by name or by the suffix of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.media.exports.animation import write_gif, write_webp
from shotstream.media.exports.clips import clip_paths, write_clips, write_mp4
from shotstream.media.exports.contact_sheet import write_contact_sheet
from shotstream.media.exports.edl import write_edl
from shotstream.media.exports.media_folder import media_folder
from shotstream.media.exports.otio import write_otio
from shotstream.media.exports.script import write_script
from shotstream.media.exports.storyboard import write_board
from shotstream.media.exports.subtitles import write_srt, write_vtt
from shotstream.media.exports.timeline import Timeline


def _it_alone(timeline: Timeline, path: Path) -> list[Path]:
    return [path]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One way out. ``per_shot``: it can be of one shot alone. ``files``: everything it writes."""

    name: str
    suffixes: tuple[str, ...]  # none: a folder
    kind: str  # MIME type of the file at the path asked for
    write: Callable[[Timeline, Path], None]
    per_shot: bool = False
    files: Callable[[Timeline, Path], list[Path]] = _it_alone

    @property
    def several(self) -> bool:
        """Does it write more than the file at the path asked for?"""
        return self.files is not _it_alone


def _with_clips(timeline: Timeline, path: Path) -> list[Path]:
    return [path, *clip_paths(timeline, media_folder(path))]


_TABLE = (
    Format(name="mp4", suffixes=(".mp4",), kind="video/mp4", write=write_mp4, per_shot=True),
    Format(name="clips", suffixes=(), kind="inode/directory", write=write_clips, files=clip_paths),
    Format(name="gif", suffixes=(".gif",), kind="image/gif", write=write_gif, per_shot=True),
    Format(name="webp", suffixes=(".webp",), kind="image/webp", write=write_webp, per_shot=True),
    Format(name="storyboard", suffixes=(".png",), kind="image/png", write=write_board),
    Format(name="pdf", suffixes=(".pdf",), kind="application/pdf", write=write_contact_sheet),
    Format(name="srt", suffixes=(".srt",), kind="application/x-subrip", write=write_srt),
    Format(name="vtt", suffixes=(".vtt",), kind="text/vtt", write=write_vtt),
    Format(name="otio", suffixes=(".otio",), kind="application/json", write=write_otio, files=_with_clips),
    Format(name="edl", suffixes=(".edl",), kind="text/plain", write=write_edl, files=_with_clips),
    Format(name="story", suffixes=(".yaml", ".yml", ".json"), kind="application/yaml", write=write_script),
)
FORMATS = {one.name: one for one in _TABLE}
_BY_SUFFIX = {suffix: one for one in _TABLE for suffix in one.suffixes}


def format_named(name: str) -> Format:
    """The format called ``name``. Raises :class:`InputError` if there is none."""
    if name not in FORMATS:
        raise InputError(f"no format is called {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: Path, name: str | None = None) -> Format:
    """The format called ``name``, or else the one ``path`` ends in.

    Raises :class:`InputError` if there is none, or if the two do not go together.
    """
    if name is None:
        found = _BY_SUFFIX.get(path.suffix.lower())
        if found is None:
            raise InputError(f"{path}: cannot tell what to export; a name ends in {', '.join(_BY_SUFFIX)}")
        return found
    wanted = format_named(name)
    if wanted.suffixes and path.suffix.lower() not in wanted.suffixes:
        raise InputError(f"{path}: a {name} export's name ends in {' or '.join(wanted.suffixes)}")
    return wanted


def cut_down(timeline: Timeline, chosen: Format, shot: int | None) -> Timeline:
    """``timeline``, or its shot ``shot`` alone. Raises :class:`InputError` if the format is of whole films only."""
    if shot is None:
        return timeline
    if not chosen.per_shot:
        able = ", ".join(one.name for one in _TABLE if one.per_shot)
        raise InputError(f"{chosen.name}: is of the whole film; one shot can be exported as {able}")
    return timeline.only(shot)


def write_export(timeline: Timeline, path: Path, name: str | None = None, shot: int | None = None) -> list[Path]:
    """Export ``timeline``, or shot ``shot`` of it, to ``path``; returns every file written, each whole.

    Raises as :func:`format_of` and :func:`cut_down` do, and :class:`StorageError` when the disk refuses.
    """
    chosen = format_of(path, name)
    part = cut_down(timeline, chosen, shot)
    chosen.write(part, path)
    return chosen.files(part, path)
