"""Short clips of the world on disk, drawn once and read as memory maps: what the autoencoder learns from.

Axes: N clips · T frames · H, W pixels · R roles (2, absent ones have an empty box)
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shotstream.core.files import write_text
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION, FrameTruth
from shotstream.data.world.splits import Split
from shotstream.data.world.stories import make_story

ROLES = 2
PER_STORY = 4


@dataclass(frozen=True)
class Clips:
    """``frames`` uint8 [N, T, H, W, 3] and ``boxes`` float32 [N, T, R, 4] (left, top, right, bottom, fractions)."""

    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frames)


def open_clips(
    folder: Path,
    *,
    count: int,
    length: int,
    seed: int,
    split: Split,
    geometry: Geometry,
    progress: Callable[[int, int], None],
) -> Clips:
    """Map the clips of ``folder``, drawing them first if they are not there or were drawn otherwise."""
    wanted = {
        "world": WORLD_VERSION,
        "count": count,
        "length": length,
        "seed": seed,
        "split": split,
        "size": [geometry.width, geometry.height],
        "fps": geometry.fps,
    }
    description = folder / "clips.json"
    shape = (count, length, geometry.height, geometry.width, 3)
    if not description.exists() or json.loads(description.read_text()) != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        description.unlink(missing_ok=True)
        np.lib.format.open_memmap(folder / "frames.npy", mode="w+", dtype=np.uint8, shape=shape).flush()
        np.lib.format.open_memmap(
            folder / "boxes.npy", mode="w+", dtype=np.float32, shape=(count, length, ROLES, 4)
        ).flush()
        jobs = [
            (str(folder), first, min(first + PER_STORY, count), seed, split, geometry)
            for first in range(0, count, PER_STORY)
        ]
        with multiprocessing.get_context("spawn").Pool() as pool:
            for done, _ in enumerate(pool.imap_unordered(_draw, jobs, chunksize=8), start=1):
                progress(min(done * PER_STORY, count), count)
        write_text(description, json.dumps(wanted))
    return Clips(np.load(folder / "frames.npy", mmap_mode="r"), np.load(folder / "boxes.npy", mmap_mode="r"))


def _draw(job: tuple[str, int, int, int, Split, Geometry]) -> None:
    """Draw clips ``first`` to ``last`` from one story: random shots, random moments."""
    folder, first, last, seed, split, geometry = job
    frames = np.load(Path(folder) / "frames.npy", mmap_mode="r+")
    boxes = np.load(Path(folder) / "boxes.npy", mmap_mode="r+")
    length = frames.shape[1]
    story = make_story(derive(seed, "clips", split, first), split=split)
    draw = random.Random(derive(seed, "clip moments", split, first))
    for clip in range(first, last):
        shot = draw.randrange(len(story.shots))
        start = draw.randrange(geometry.shot_frames(geometry.max_blocks) - length) if draw.random() < 0.7 else 0
        pictures, truths = render_shot(
            story,
            shot,
            frames=range(start, start + length),
            width=geometry.width,
            height=geometry.height,
            fps=geometry.fps,
        )
        frames[clip] = pictures
        boxes[clip] = boxes_of(truths)


def boxes_of(truths: Sequence[FrameTruth]) -> NDArray[np.float32]:
    """Where the characters of every frame are, [T, R, 4] as in :class:`Clips`; all zero where one is absent."""
    boxes = np.zeros((len(truths), ROLES, 4), np.float32)
    for moment, truth in enumerate(truths):
        for place, seen in enumerate(truth.characters[:ROLES]):
            boxes[moment, place] = seen.box
    return boxes
