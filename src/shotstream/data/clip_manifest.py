"""The reference's manifests: a CSV that names a clip's captions, its video, and the frames of every shot; or latents.

Columns ``shot_num_from_caption, json_path, video_path, frame_number`` (a literal list of [first, last) frame ranges,
one per shot, gaps allowed), or ``latent_path``. Paths are absolute or relative to the CSV. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.story import Story
from shotstream.media.story_file import read_story

COLUMNS = ("shot_num_from_caption", "json_path", "video_path", "frame_number")
LATENTS = "latent_path"
_LONGEST = 20_000  # characters of a list of ranges: a row that holds more is no row

FrameRange = tuple[int, int]  # [first, last)
Kind = Literal["clips", "latents"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One row: a video whose shots are ``ranges`` of its frames, told by ``story``."""

    place: str  # the CSV and the line, for errors
    story: Story
    video: Path
    ranges: tuple[FrameRange, ...]

    @property
    def prompts(self) -> list[str]:
        """What every shot is made from: the global caption and its own."""
        return self.story.prompts


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of a manifest, as it is written."""

    place: str
    folder: Path
    fields: dict[str, str]

    def path(self, column: str) -> Path:
        """The file a column names. Raises :class:`InputError` if there is none."""
        named = self.fields[column].strip()
        if not named:
            raise InputError(f"{self.place}: {column} is empty; name a file")
        path = self.folder / named
        if not path.is_file():
            raise InputError(f"{self.place}: {column}: {path} is not there; mend the path or take the row out")
        return path


def rows_of(manifest: Path) -> tuple[Kind, Iterator[Row]]:
    """What ``manifest`` lists, and its rows. Raises :class:`InputError` for what is no such CSV, also while reading."""
    lines = _lines(manifest)
    _, header = next(lines, (1, []))
    header = [name.strip() for name in header]
    if LATENTS in header:
        return "latents", _rows(manifest, header, lines)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{manifest}:1: lacks the column {missing[0]}; a manifest of clips has {', '.join(COLUMNS)}, "
            f"one of latents has {LATENTS}"
        )
    return "clips", _rows(manifest, header, lines)


def clip_of(row: Row) -> Clip:
    """What ``row`` says, checked against itself and its captions; the video is not opened. Raises a one-line error."""
    story = read_story(row.path("json_path"))
    ranges = frame_ranges(row)
    number = row.fields["shot_num_from_caption"].strip()
    if not number.isascii() or not number.isdigit():
        raise InputError(f"{row.place}: shot_num_from_caption is {number!r}; write a whole number")
    counts = {"shot_num_from_caption": int(number), "frame_number": len(ranges), "json_path": len(story.shots)}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"{row.place}: the numbers of shots differ ({said}); mend the one that is wrong")
    return Clip(place=row.place, story=story, video=row.path("video_path"), ranges=ranges)


def frame_ranges(row: Row) -> tuple[FrameRange, ...]:
    """The frame ranges of ``row``, ascending. Raises :class:`InputError`."""
    text = row.fields["frame_number"]
    try:
        found = ast.literal_eval(text.strip()) if len(text) <= _LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list | tuple) or not found or not all(_is_range(one) for one in found):
        raise InputError(
            f"{row.place}: frame_number is no list of ranges of whole numbers; write [[first, last], ...], "
            "last not included"
        )
    end = 0
    for shot, (first, last) in enumerate(found, start=1):
        if not end <= first < last:
            raise InputError(
                f"{row.place}: frame_number: shot {shot} is [{first}, {last}] after frame {end}; ranges hold a frame "
                "at least and follow each other"
            )
        end = last
    return tuple((first, last) for first, last in found)


def read_clips(manifest: Path) -> list[Clip]:
    """All clips of ``manifest``. The first wrong row is an error: none is skipped. Raises a one-line error."""
    kind, rows = rows_of(manifest)
    if kind != "clips":
        raise InputError(f"{manifest}: lists latents, not clips; it needs the columns {', '.join(COLUMNS)}")
    return [clip_of(row) for row in rows]


def faults_of(row: Row, error: ShotStreamError) -> str:
    """``error`` as one line that begins with the row's place."""
    said = str(error)
    return said if said.startswith(row.place) else f"{row.place}: {said}"


def _lines(manifest: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a CSV of any length, read as it is asked for; a cell over several lines ends on that line."""
    line = 0
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for cells in reader:
                line = reader.line_num
                yield line, cells
    except FileNotFoundError as fault:
        raise InputError(f"{manifest}: no such file; check the name") from fault
    except (csv.Error, UnicodeDecodeError) as fault:
        said = "not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)
        raise InputError(f"{manifest}:{line + 1}: cannot be read as CSV ({said}); save it as CSV in UTF-8") from fault
    except OSError as fault:
        raise InputError(f"{manifest}: cannot be read ({fault.strerror})") from fault


def _rows(manifest: Path, header: list[str], lines: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
    for line, cells in lines:
        if cells:  # nothing on an empty line
            fields = dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
            yield Row(place=f"{manifest}:{line}", folder=manifest.parent, fields=fields)


def _is_range(one: object) -> bool:
    return (
        isinstance(one, list | tuple)
        and len(one) == 2
        and all(isinstance(value, int) and not isinstance(value, bool) for value in one)
    )
