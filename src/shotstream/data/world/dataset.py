"""Writes stories of the world to disk in the reference's form, with exact annotations.

A folder holds ``videos/NAME.mp4`` (all shots in a row), ``captions/NAME.json`` (``global_caption``,
``shot1`` ...), ``truth/NAME.json`` (what :mod:`truth` knows, and boxes per frame) and ``manifest.csv``
with the columns ``shot_num_from_caption, json_path, video_path, frame_number`` (a literal list of
[first, last) frame ranges, one per shot). Paths in the manifest are relative to the folder.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import whole_file, write_text
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import Shot, Story
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION, FrameTruth, WorldShot, WorldStory
from shotstream.data.world.stories import Split, StoryStyle, make_story
from shotstream.data.world.truth import asked_attributes, stated_attributes, unstated_details
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import FilmWriter
from shotstream.media.provenance import FilmTags

DIGITS = 4  # of fractions of the picture: a tenth of a pixel at a thousand pixels


def truth_of(
    story: WorldStory, split: Split, ranges: Sequence[tuple[int, int]], seen: Sequence[Sequence[FrameTruth]]
) -> dict[str, object]:
    """Everything that is true of a rendered story.

    ``ranges``: [first, last) frames of each shot in the video. ``seen``: the frame truths of each shot.
    Cuts are the first frames of all shots but the first. Labels are those of :mod:`truth`.
    """
    shots = []
    for index, (frames, truths) in enumerate(zip(ranges, seen, strict=True)):
        shots.append(
            {
                "first_frame": frames[0],
                "asked": asked_attributes(story, index),
                "stated": stated_attributes(story, index),
                "unstated": unstated_details(story, index),
                "identities": [role.character for role in story.shots[index].roles],
                "frames": [_frame(truth) for truth in truths],
            }
        )
    return {
        "world_version": WORLD_VERSION,
        "split": split,
        "story": asdict(story),
        "frame_ranges": [list(frames) for frames in ranges],
        "cuts": [first for first, _ in ranges[1:]],
        "shots": shots,
    }


def _frame(truth: FrameTruth) -> dict[str, object]:
    return {
        "camera_x": round(truth.camera_x, DIGITS),
        "camera_zoom": round(truth.camera_zoom, DIGITS),
        "boxes": [[round(edge, DIGITS) for edge in one.box] for one in truth.characters],
        "visible": [round(one.visible, DIGITS) for one in truth.characters],
    }


COLUMNS = ("shot_num_from_caption", "json_path", "video_path", "frame_number")
MANIFEST = "manifest.csv"
Progress = Callable[[int, int], None]  # stories done, stories in all


class WorldTags(FilmTags):
    """Tags of a drawn film: the same script in the file, but no claim that a model generated it."""

    def as_metadata(self) -> dict[str, str]:
        drawn = f"Drawn by the procedural world, version {self.model_version}, seed {self.seed}."
        return {"title": self.title, "description": self.story.global_caption, "comment": drawn}


class DatasetPlan(Config):
    """What a dataset is made of; stored beside it, so that a folder is only ever continued with the same one."""

    world_version: int = WORLD_VERSION
    seed: int
    split: Split
    style: StoryStyle
    picture: VideoFormat
    shot_frames: tuple[int, ...]  # frames of a shot of 1, 2, ... blocks

    def frames_for(self, seconds: float) -> int:
        """The possible number of frames nearest to ``seconds``."""
        return min(self.shot_frames, key=lambda frames: abs(frames / self.picture.fps - seconds))

    def frame_ranges(self, shots: Sequence[WorldShot]) -> list[tuple[int, int]]:
        """[first, last) frames of every shot in its story's video."""
        lengths = [self.frames_for(shot.seconds) for shot in shots]
        return [(end - length, end) for end, length in zip(accumulate(lengths), lengths, strict=True)]

    def story(self, number: int) -> WorldStory:
        """Story ``number`` (from 0) of the dataset."""
        return make_story(derive(self.seed, "dataset", number), split=self.split, style=self.style)


def plan_dataset(*, seed: int, split: Split, geometry: Geometry, style: StoryStyle | None = None) -> DatasetPlan:
    """The plan of a dataset for a model of ``geometry``: its picture, and shots of whole blocks.

    Raises :class:`InputError` for a style whose shots change: the reference's form holds one caption a shot.
    """
    if style is not None and style.changes:
        raise InputError(f"changes={style.changes}: a shot of a dataset has one caption; give changes=0")
    return DatasetPlan(
        seed=seed,
        split=split,
        style=style or StoryStyle(),
        picture=VideoFormat(width=geometry.width, height=geometry.height, fps=geometry.fps),
        shot_frames=tuple(geometry.shot_frames(blocks) for blocks in range(1, geometry.max_blocks + 1)),
    )


def write_dataset(
    out: Path,
    *,
    stories: int,
    seed: int,
    split: Split,
    geometry: Geometry,
    progress: Progress,
    style: StoryStyle | None = None,
    workers: int = 2,
) -> Path:
    """Write ``stories`` stories to ``out`` and return the path of the manifest.

    Stories that are already there whole are kept, so an interrupted run is continued by the same call, and
    a larger ``stories`` extends a dataset. ``progress`` is called after every story. ``workers`` 0 stays in
    this process. Raises :class:`InputError` if ``out`` holds another dataset, :class:`StorageError` when the
    disk refuses.
    """
    plan = plan_dataset(seed=seed, split=split, geometry=geometry, style=style)
    if stories < 1:
        raise InputError(f"stories={stories}: a dataset holds at least one story")
    _claim(out, plan)
    missing = [number for number in range(stories) if not _is_whole(out, _name(number))]
    done = stories - len(missing)
    progress(done, stories)
    for _ in _write_all(out, plan, missing, workers):
        done += 1
        progress(done, stories)
    _write_manifest(out, stories)
    return out / MANIFEST


def _claim(out: Path, plan: DatasetPlan) -> None:
    record = out / "plan.json"
    if record.exists():
        if DatasetPlan.model_validate_json(record.read_text()) != plan:
            raise InputError(f"{out}: holds a dataset made with other settings; choose another folder")
        return
    for folder in ("videos", "captions", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_text(record, plan.model_dump_json(indent=2))


def _name(number: int) -> str:
    return f"story-{number:06d}"


def _paths(out: Path, name: str) -> tuple[Path, Path, Path]:
    return out / "videos" / f"{name}.mp4", out / "captions" / f"{name}.json", out / "truth" / f"{name}.json"


def _is_whole(out: Path, name: str) -> bool:
    return all(path.is_file() for path in _paths(out, name))


def _write_all(out: Path, plan: DatasetPlan, numbers: list[int], workers: int) -> Iterator[int]:
    """The numbers of stories as they are finished; spawned processes, so nothing of this one is copied along."""
    write = partial(_write_story, out, plan)
    if workers == 0 or len(numbers) < 2:
        yield from map(write, numbers)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(write, number) for number in numbers]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_story(out: Path, plan: DatasetPlan, number: int) -> int:
    story = plan.story(number)
    ranges = plan.frame_ranges(story.shots)
    video, captions, truth = _paths(out, _name(number))
    seen = _write_video(video, story, ranges, plan.picture)
    told = {f"shot{index + 1}": shot.caption for index, shot in enumerate(story.shots)}
    write_text(captions, _json({"global_caption": story.global_caption, **told}))
    write_text(truth, _json(truth_of(story, plan.split, ranges, seen)))
    return number


def _write_video(
    path: Path, story: WorldStory, ranges: list[tuple[int, int]], picture: VideoFormat
) -> list[tuple[FrameTruth, ...]]:
    script = Story(
        global_caption=story.global_caption,
        seed=story.seed,
        shots=tuple(Shot(caption=shot.caption, seconds=shot.seconds) for shot in story.shots),
    )
    tags = WorldTags(
        title=path.stem, story=script, seed=story.seed, model="procedural world", model_version=str(WORLD_VERSION)
    )
    seen = []
    with whole_file(path) as temporary:
        writer = FilmWriter(temporary, picture, tags)
        try:
            for index, (first, last) in enumerate(ranges):
                frames, truths = render_shot(
                    story, index, frames=last - first, width=picture.width, height=picture.height, fps=picture.fps
                )
                writer.add_shot(story.shots[index].caption, np.ascontiguousarray(frames))
                seen.append(truths)
        except BaseException:
            writer.abandon()
            raise
        writer.finish()
    return seen


def _write_manifest(out: Path, stories: int) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number in range(stories):
        video, captions, truth = _paths(out, _name(number))
        ranges = json.loads(truth.read_text())["frame_ranges"]
        rows.writerow([len(ranges), captions.relative_to(out).as_posix(), video.relative_to(out).as_posix(), ranges])
    write_text(out / MANIFEST, text.getvalue())


def _json(data: object) -> str:
    return json.dumps(data, indent=1) + "\n"
