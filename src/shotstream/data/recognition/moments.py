"""Moments of true films with the answers to every question: training data of the recognisers.

Axes: N moments · M frames of one · H, W pixels · S slots
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shotstream.core.files import write_text
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.recognition.network import (
    FRAMES,
    RecogniserConfig,
    moment_frames,
    moment_truth,
    shrink,
)
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.stories import Split, make_story

PER_SHOT = 2
Pictures = NDArray[np.uint8]
Pass = Callable[[Pictures], Pictures]  # a clip uint8 [T, H, W, 3] through a codec


@dataclass(frozen=True, slots=True)
class Moments:
    """Parallel arrays over N moments."""

    frames: Pictures  # [N, M, H, W, 3]
    picture: NDArray[np.int64]  # [N, questions], -1 where a question does not apply
    person: NDArray[np.int64]  # [N, S, questions]
    boxes: NDArray[np.float32]  # [N, S, 4] left, top, right, bottom as fractions; an empty slot's is 0
    story: NDArray[np.int64]  # [N]
    place: NDArray[np.int64]  # [N] which place of its story
    character: NDArray[np.int64]  # [N, S] which character of its story, -1 for an empty slot

    def __len__(self) -> int:
        return len(self.frames)


def open_moments(
    folder: Path,
    *,
    stories: int,
    seed: int,
    split: Split,
    geometry: Geometry,
    config: RecogniserConfig,
    progress: Callable[[int, int], None],
    codec: Pass | None = None,
    codec_name: str = "",
) -> Moments:
    """The moments of ``stories`` stories, drawn once and kept in ``folder``; with ``codec``, as it shows them."""
    size = [config.width, config.height, geometry.width, geometry.height, geometry.fps]
    wanted = {
        "world": WORLD_VERSION, "stories": stories, "seed": seed, "split": split, "size": size, "codec": codec_name
    }  # fmt: skip
    description, data, pictures = folder / "moments.json", folder / "moments.npz", folder / "frames.npy"
    if not description.exists() or json.loads(description.read_text()) != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        description.unlink(missing_ok=True)
        draw = partial(draw_story, seed=seed, split=split, geometry=geometry, config=config)
        shots = sum(len(_story(seed, split, number).shots) for number in range(stories))
        count = shots * (1 if codec else PER_SHOT)
        frames = np.lib.format.open_memmap(
            pictures, mode="w+", dtype=np.uint8, shape=(count, FRAMES, config.height, config.width, 3)
        )
        rest, filled = [], 0
        for done, part in enumerate(_drawn(draw, stories, codec), start=1):
            drawn = part.pop("frames")
            frames[filled : filled + len(drawn)] = drawn
            filled += len(drawn)
            rest.append(part)
            progress(done, stories)
        frames.flush()
        np.savez(data, allow_pickle=False, **{name: np.concatenate([part[name] for part in rest]) for name in rest[0]})
        write_text(description, json.dumps(wanted))
    with np.load(data) as arrays:
        return Moments(frames=np.load(pictures, mmap_mode="r"), **arrays)


def _story(seed: int, split: Split, number: int) -> WorldStory:
    return make_story(derive(seed, "moments", split, number), split=split)


def _drawn(
    draw: Callable[..., dict[str, NDArray[np.generic]]], stories: int, codec: Pass | None
) -> Iterator[dict[str, NDArray[np.generic]]]:
    if codec is not None:  # the codec keeps both cores busy by itself
        yield from (draw(number, codec=codec) for number in range(stories))
        return
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap(draw, range(stories), chunksize=8)


def draw_story(
    number: int, *, seed: int, split: Split, geometry: Geometry, config: RecogniserConfig, codec: Pass | None = None
) -> dict[str, NDArray[np.generic]]:
    """A few random moments of every shot of story ``number``; one per shot with a ``codec``."""
    story = _story(seed, split, number)
    draw = random.Random(derive(seed, "when", split, number))
    rows: dict[str, list[object]] = {name: [] for name in Moments.__slots__}
    length = geometry.shot_frames(geometry.max_blocks)
    for shot, spec in enumerate(story.shots):
        for _ in range(1 if codec else PER_SHOT):
            apart = moment_frames(0, geometry.fps, length)[-1]
            middle = draw.randrange(apart, length - apart) if draw.random() < 0.8 else apart
            wanted = range(middle - apart, middle + apart + 1, 1 if codec else apart)
            pictures, truths = render_shot(
                story, shot, frames=wanted, width=geometry.width, height=geometry.height, fps=geometry.fps
            )
            if codec is not None:
                pictures, truths = codec(pictures)[::apart], truths[::apart]
            times = [wanted[0] / geometry.fps, wanted[-1] / geometry.fps]
            truth = moment_truth(story, shot, truths[1].characters, times)
            rows["frames"].append(shrink(pictures, config))
            for name, value in truth._asdict().items():
                rows[name].append(value)
            rows["story"].append(number)
            rows["place"].append(spec.place)
    kinds = {"frames": np.uint8, "boxes": np.float32}
    return {name: np.asarray(values, dtype=kinds.get(name, np.int64)) for name, values in rows.items()}
