"""Reads the reference's manifests, checks them, and cuts their clips into the shots that training sees.

A manifest is a CSV of captions, videos and the frames of every shot, or latents: columns ``shot_num_from_caption,
json_path, video_path, frame_number`` (a literal list of [first, last) frame ranges, one per shot, gaps allowed), the
same without ``video_path`` (prompts alone, as in the reference's test set), or ``latent_path``. Of a JSON with more
shots than the row counts, the first are meant. Paths are absolute, or relative to a given root, to the CSV, or to the
current folder. Nothing is evaluated.

Axes: T pixel frames, H, W pixels
"""

from __future__ import annotations

import ast
import codecs
import csv
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from shotstream.core.context_budget import pickable_frames
from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Story
from shotstream.media.story_file import read_story

COLUMNS = ("shot_num_from_caption", "json_path", "video_path", "frame_number")
PROMPT_COLUMNS = tuple(name for name in COLUMNS if name != "video_path")
LATENTS = "latent_path"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Threads of Python 3.11 that read literals at once disturb each other's count of the depth, which is a SystemError.
_ONE_AT_A_TIME = threading.Lock()
_LONGEST = 20_000  # characters of a list of ranges: a row that holds more is no row
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*')  # a first line by which Excel says what stands between cells

FrameRange = tuple[int, int]  # [first, last)
Kind = Literal["clips", "prompts", "latents"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One row: a video whose shots are ``ranges`` of its frames, told by ``story``."""

    place: str  # the CSV and the line, for errors
    story: Story
    video: Path
    ranges: tuple[FrameRange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of a manifest, as it is written."""

    place: str
    folders: tuple[Path, ...]  # in which its paths are looked for, besides the current one
    fields: dict[str, str]

    def path(self, column: str) -> Path:
        """The file a column names. Raises :class:`InputError` if there is none."""
        named = self.fields[column].strip()
        if not named:
            raise InputError(f"{self.place}: {column} is empty; name a file")
        for name in (named, named.replace("\\", "/")):  # a manifest may have been written on Windows
            for path in (*(folder / name for folder in self.folders), Path(name)):
                if path.is_file():
                    return path
        raise InputError(
            f"{self.place}: {column}: {self.folders[0] / named} is not there, nor is it in the current folder; "
            "mend the path, name the folder it is in as the root, or take the row out"
        )


def rows_of(manifest: Path, root: Path | None = None) -> tuple[Kind, Iterator[Row]]:
    """What ``manifest`` lists, and its rows, whose paths are in ``root`` if it is given. Raises :class:`InputError` for
    what is no such CSV, also while reading, and for a root that is no folder."""
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder; the root is the folder that the manifest's paths are relative to")
    folders = (manifest.parent,) if root is None else (root, manifest.parent)
    lines = _lines(manifest)
    _, header = next(lines, (1, []))
    header = [name.strip() for name in header]
    twice = next((name for name in (*COLUMNS, LATENTS) if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{manifest}:1: has the column {twice} twice; keep one")
    if LATENTS in header:
        return "latents", _rows(manifest, header, lines, folders)
    missing = [name for name in PROMPT_COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{manifest}:1: lacks the column {missing[0]}; a manifest of clips has {', '.join(COLUMNS)}, "
            f"one of latents has {LATENTS}"
        )
    return "clips" if "video_path" in header else "prompts", _rows(manifest, header, lines, folders)


def clip_of(row: Row) -> Clip:
    """What ``row`` says, checked against itself and its captions; the video is not opened. Raises a one-line error."""
    story, ranges = told_by(row)
    return Clip(place=row.place, story=story, video=row.path("video_path"), ranges=ranges)


def told_by(row: Row) -> tuple[Story, tuple[FrameRange, ...]]:
    """The story of ``row`` and its shots' frames. Raises a one-line error."""
    story = read_story(row.path("json_path"))
    ranges = frame_ranges(row)
    number = row.fields["shot_num_from_caption"].strip()
    if not number.isascii() or not number.isdigit():
        raise InputError(f"{row.place}: shot_num_from_caption is {number!r}; write a whole number")
    counts = {"shot_num_from_caption": int(number), "frame_number": len(ranges), "json_path": len(story.shots)}
    if int(number) != len(ranges) or int(number) > len(story.shots):
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"{row.place}: the numbers of shots differ ({said}); mend the one that is wrong")
    return story.model_copy(update={"shots": story.shots[: len(ranges)]}), ranges


def frame_ranges(row: Row) -> tuple[FrameRange, ...]:
    """The frame ranges of ``row``, ascending. Raises :class:`InputError`."""
    text = row.fields["frame_number"]
    try:
        with _ONE_AT_A_TIME:
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


def read_clips(manifest: Path, root: Path | None = None) -> list[Clip]:
    """All clips of ``manifest``, their paths as for :func:`rows_of`. The first wrong row is an error: none is skipped.
    Raises a one-line error."""
    kind, rows = rows_of(manifest, root)
    if kind != "clips":
        raise InputError(f"{manifest}: lists {kind}, not clips; it needs the columns {', '.join(COLUMNS)}")
    return [clip_of(row) for row in rows]


def faults_of(row: Row, error: ShotStreamError) -> str:
    """``error`` as one line that begins with the row's place."""
    said = str(error)
    return said if said.startswith(row.place) else f"{row.place}: {said}"


def _lines(manifest: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a CSV of any length, read as it is asked for; a cell over several lines ends on that line."""
    line = 0
    try:
        with manifest.open("rb") as file:
            encoding = "utf-16" if file.read(2) in _UTF_16 else "utf-8-sig"  # as spreadsheets write "Unicode text"
        with manifest.open(encoding=encoding, newline="") as file:
            first = file.readline()
            told = _SEPARATOR.fullmatch(first)
            file.seek(0 if told is None else file.tell())
            delimiter = max(",;\t", key=first.count) if told is None else told[1]  # as spreadsheets write it
            reader, above = csv.reader(file, delimiter=delimiter), 0 if told is None else 1
            for cells in reader:
                line = reader.line_num + above
                yield line, cells
    except FileNotFoundError as fault:
        raise InputError(f"{manifest}: no such file; check the name") from fault
    except (csv.Error, UnicodeError) as fault:
        said = "not UTF-8" if isinstance(fault, UnicodeError) else str(fault)
        raise InputError(f"{manifest}:{line + 1}: cannot be read as CSV ({said}); save it as CSV in UTF-8") from fault
    except OSError as fault:
        raise InputError(f"{manifest}: cannot be read ({fault.strerror})") from fault


def _rows(
    manifest: Path, header: list[str], lines: Iterator[tuple[int, list[str]]], folders: tuple[Path, ...]
) -> Iterator[Row]:
    for line, cells in lines:
        if any(cell.strip() for cell in cells):  # spreadsheets write rows of empty cells, too
            fields = dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
            yield Row(place=f"{manifest}:{line}", folders=folders, fields=fields)


def _is_range(one: object) -> bool:
    return (
        isinstance(one, list | tuple)
        and len(one) == 2
        and all(isinstance(value, int) and not isinstance(value, bool) for value in one)
    )


Ranges = tuple[FrameRange, ...]

AHEAD = 64  # rows in work at a time


@dataclass
class Findings:
    """What a manifest holds. ``latent_frames``: how many shots there are of each length, as training would cut them."""

    kind: Kind
    rows: int = 0
    shots: int = 0
    latent_frames: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check_manifest(
    manifest: Path, geometry: Geometry, *, workers: int, progress: Callable[[int], None], root: Path | None = None
) -> Findings:
    """Look at every row of ``manifest``, its paths in ``root``. Raises :class:`InputError` if it is none at all."""
    kind, rows = rows_of(manifest, root)
    found = Findings(kind)

    def look(row: Row) -> Ranges | str:
        try:
            if kind == "clips":
                return _clip(row)
            if kind == "prompts":
                return told_by(row)[1]
            _open_latents(row)
            return ()
        except ShotStreamError as error:
            return faults_of(row, error)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        for result in _in_order(pool, look, rows):
            found.rows += 1
            if isinstance(result, str):
                found.faults.append(result)
            else:
                _count(found, result, geometry)
            progress(found.rows)
    if not found.rows:
        raise InputError(f"{manifest}: has no rows; a manifest lists one clip per line")
    return found


def trained_frames(frames: int, geometry: Geometry) -> tuple[int, int]:
    """(stride, frames) of a shot of ``frames``: strided if it is longer than the longest, cut to that, then trimmed
    to 1 + temporal k."""
    longest = geometry.shot_frames(geometry.max_blocks)
    stride = max(1, frames // longest)
    kept = min(longest, -(-frames // stride))
    return stride, kept - (kept - 1) % geometry.temporal


def _in_order(
    pool: ThreadPoolExecutor, look: Callable[[Row], Ranges | str], rows: Iterator[Row]
) -> Iterator[Ranges | str]:
    """Results in the order of the rows, never far ahead: a manifest may be long."""
    waiting = []
    for row in rows:
        waiting.append(pool.submit(look, row))
        if len(waiting) >= AHEAD:
            yield waiting.pop(0).result()
    for task in waiting:
        yield task.result()


def _clip(row: Row) -> Ranges:
    from shotstream.media.video import count_frames, read_times  # PyAV, which stories of the world do without

    clip = clip_of(row)
    frames = count_frames(clip.video)
    if len(read_times(clip.video)) != frames:
        raise InputError(f"{row.place}: {clip.video}: has {frames} frames, but times for others; save the video again")
    for shot, (first, last) in enumerate(clip.ranges, start=1):
        if last > frames:
            raise InputError(
                f"{row.place}: frame_number: shot {shot} is [{first}, {last}], {clip.video} has {frames} frames; "
                "mend the range or fetch the video again"
            )
    return clip.ranges


def _open_latents(row: Row) -> None:
    path = row.path(LATENTS)
    if path.suffix != ".safetensors":
        raise InputError(
            f"{row.place}: {LATENTS}: {path} is no safetensors file; make trajectories anew with the recipe "
            "trajectories (pickles are not read)"
        )
    try:
        with safe_open(path, "pt") as file:
            file.keys()
    except (SafetensorError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise InputError(f"{row.place}: {LATENTS}: {path} is damaged ({said}); make it again") from fault


def _count(found: Findings, ranges: Ranges, geometry: Geometry) -> None:
    found.shots += len(ranges)
    for first, last in ranges:
        length = geometry.latent_frames(trained_frames(last - first, geometry)[1])
        found.latent_frames[length] = found.latent_frames.get(length, 0) + 1


@dataclass(frozen=True, slots=True)
class ShotFrames:
    """What training sees of a shot of ``frames`` frames.

    ``video``: uint8 [T, H, W, 3], what is learned: strided and cut. ``pickable``: uint8 [P, H, W, 3], the frames of the
    whole shot that may condition later ones, those :func:`pickable_frames` names.
    """

    video: NDArray[np.uint8]
    frames: int
    pickable: NDArray[np.uint8]


def shots_of(clip: Clip, geometry: Geometry) -> Iterator[ShotFrames]:
    """Every shot in order; the video is decoded once. Raises :class:`InputError`.

    A shot is a range of frames; within it, the frames learned are as far apart in time as a player shows them.
    """
    from shotstream.media.display import fitted  # PyAV, which stories of the world do without
    from shotstream.media.video import iterate_frames, read_times

    times, ranges = np.asarray(read_times(clip.video)), clip.ranges
    if len(times) < ranges[-1][1]:
        raise _too_short(clip, sum(last <= len(times) for _, last in ranges))
    chosen = [_chosen(times[first:last], first, geometry) for first, last in ranges]
    picks = [
        [first + pick for pick in pickable_frames(last - first, geometry.context_frames)] for first, last in ranges
    ]
    shot, video, pickable = 0, [], []
    for number, picture in enumerate(iterate_frames(clip.video)):
        shown, picked = chosen[shot].count(number), number in picks[shot]
        if shown or picked:
            fit = fitted(picture, geometry.width, geometry.height)
            video += [fit] * shown
            pickable += [fit] * picked
        if number == max(chosen[shot][-1], picks[shot][-1]):
            first, last = ranges[shot]
            yield ShotFrames(np.stack(video), last - first, np.stack(pickable))
            shot, video, pickable = shot + 1, [], []
            if shot == len(ranges):
                return
    raise _too_short(clip, shot)


def _chosen(times: NDArray[np.float64], first: int, geometry: Geometry) -> list[int]:
    """The frames of a shot that training sees: those shown nearest to moments that are equally far apart.

    ``times`` [n] in seconds of the shot's frames, which are numbered from ``first``.
    """
    stride, frames = trained_frames(len(times), geometry)
    apart = (times[-1] - times[0]) / max(1, len(times) - 1)
    wanted = times[0] + apart * stride * np.arange(frames)
    return [first + int(np.abs(times - moment).argmin()) for moment in wanted]


def _too_short(clip: Clip, shot: int) -> InputError:
    return InputError(f"{clip.place}: {clip.video} ends before shot {shot + 1} does; run shotstream data check")
