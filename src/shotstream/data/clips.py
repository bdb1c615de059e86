"""Short clips of the world, drawn once and read as memory maps: training data of the autoencoder.

What covers a latent cell (background, or which part of which character) is read off drawn masks: the puppets alone,
each part in a colour that says what it is, a few pixels a cell.

Axes: N clips · T, F frames · H, W pixels · R roles (2, absent ones have an empty box) · h, w latent cells
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skia
from numpy.typing import NDArray

from shotstream.core.files import write_text
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.world.render import ShotPainter, render_shot
from shotstream.data.world.spec import COLOURS, KINDS, WORLD_VERSION, FrameTruth, WorldStory
from shotstream.data.world.stories import Split, make_story

PARTS = ("background", "body", "head", "worn")  # a head with what it wears; a body with its limbs and tail
NOBODY = -1
PIXELS = 4  # per cell and side
COVERED = 0.3  # share of a cell from which on it is a character's

_HEADS = ("calm", "blink", "joyful", "asleep", "back")
_WORN = ("scarf", "backpack", "straps", "balloon")
_INKS = {"body": 0xFFFF0000, "head": 0xFF00FF00, "worn": 0xFF0000FF}


@dataclass(frozen=True, slots=True)
class CellTruth:
    """int64 [F, h, w] each: an index into :data:`PARTS`, and into KINDS and COLOURS, -1 where nobody is.

    ``role``: the place in the shot's roles, -1 where nobody is.
    """

    part: NDArray[np.int64]
    role: NDArray[np.int64]
    kind: NDArray[np.int64]
    colour: NDArray[np.int64]


def cells_of(story: WorldStory, shot: int, times: Sequence[float], rows: int, columns: int) -> CellTruth:
    """The truth of every cell ``times`` seconds into a shot whose pictures hold ``rows`` x ``columns`` cells."""
    painter = _MaskPainter(story, shot, PIXELS * columns, PIXELS * rows)
    roles = story.shots[shot].roles
    part, role = (np.zeros((len(times), rows, columns), np.int64) for _ in range(2))
    for slot, time in enumerate(times):
        masks = painter.masks(time).reshape(len(roles), rows, PIXELS, columns, PIXELS, 3).mean((2, 4))
        shares = masks.transpose(1, 2, 0, 3).reshape(rows, columns, -1)  # [h, w, roles x parts]
        found = shares.argmax(-1)
        somebody = shares.sum(-1) >= COVERED
        part[slot] = np.where(somebody, 1 + found % (len(PARTS) - 1), 0)
        role[slot] = np.where(somebody, found // (len(PARTS) - 1), NOBODY)
    cast = [story.characters[one.character] for one in roles]
    kinds = np.array([*(KINDS.index(one.kind) for one in cast), NOBODY])
    colours = np.array([*(COLOURS.index(one.colour) for one in cast), NOBODY])
    return CellTruth(part, role, kinds[role], colours[role])


class _MaskPainter(ShotPainter):
    """Draws the cast alone, once per role: where it is seen, in the inks of its parts."""

    def __init__(self, story: WorldStory, shot: int, width: int, height: int) -> None:
        super().__init__(story, shot, width, height)
        info = skia.ImageInfo.Make(width, height, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
        self._pixels = np.zeros((len(self.spec.roles), height, width, 4), np.uint8)
        self._surfaces = [skia.Surface.MakeRasterDirect(info, pixels) for pixels in self._pixels]

    def masks(self, time: float) -> NDArray[np.float64]:
        """[roles, H, W, parts]: shares of pixels."""
        self._pixels[:] = 0
        for place, one in enumerate(self.placed_cast(time)):
            for number, surface in enumerate(self._surfaces):
                paint_of = _inked if number == place else _rubbed_out
                one.puppet.draw(surface.getCanvas(), one.pose, one.x, one.y, one.scale, one.facing, time, paint_of)
        return self._pixels[..., :3] / 255.0


def _inked(name: str) -> skia.Paint:
    part = "head" if name in _HEADS else "worn" if name in _WORN else "body"
    return skia.Paint(ColorFilter=skia.ColorFilters.Blend(_INKS[part], skia.BlendMode.kSrcIn))


def _rubbed_out(name: str) -> skia.Paint:
    """Who stands in front hides what is behind."""
    return skia.Paint(BlendMode=skia.BlendMode.kDstOut)


ROLES = 2
PER_STORY = 4


@dataclass(frozen=True)
class Clips:
    """``frames`` uint8 [N, T, H, W, 3], ``boxes`` float32 [N, T, R, 4] (left, top, right, bottom, fractions) and
    ``cells`` int8 [N, T, 3, h, w]: part, kind and colour of whoever covers a latent cell."""

    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    cells: NDArray[np.int8]

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
        "cell": geometry.spatial,
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
        cells = (count, length, 3, geometry.height // geometry.spatial, geometry.width // geometry.spatial)
        np.lib.format.open_memmap(folder / "cells.npy", mode="w+", dtype=np.int8, shape=cells).flush()
        jobs = [
            (str(folder), first, min(first + PER_STORY, count), seed, split, geometry)
            for first in range(0, count, PER_STORY)
        ]
        with multiprocessing.get_context("spawn").Pool() as pool:
            for done, _ in enumerate(pool.imap_unordered(_draw, jobs, chunksize=8), start=1):
                progress(min(done * PER_STORY, count), count)
        write_text(description, json.dumps(wanted))
    return Clips(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("frames", "boxes", "cells")))


def _draw(job: tuple[str, int, int, int, Split, Geometry]) -> None:
    """Draw clips ``first`` to ``last`` from one story: random shots, random moments."""
    folder, first, last, seed, split, geometry = job
    frames = np.load(Path(folder) / "frames.npy", mmap_mode="r+")
    boxes = np.load(Path(folder) / "boxes.npy", mmap_mode="r+")
    cells = np.load(Path(folder) / "cells.npy", mmap_mode="r+")
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
        times = [(start + frame) / geometry.fps for frame in range(length)]
        truth = cells_of(story, shot, times, *cells.shape[-2:])
        cells[clip] = np.stack([truth.part, truth.kind, truth.colour], 1)


def boxes_of(truths: Sequence[FrameTruth]) -> NDArray[np.float32]:
    """Where the characters of every frame are, [T, R, 4] as in :class:`Clips`; all zero where one is absent."""
    boxes = np.zeros((len(truths), ROLES, 4), np.float32)
    for moment, truth in enumerate(truths):
        for place, seen in enumerate(truth.characters[:ROLES]):
            boxes[moment, place] = seen.box
    return boxes
