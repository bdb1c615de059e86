"""Single pictures of many stories as latents, coded once: what a teacher learns from before it sees shots, and
what it learns to remember from: the pictures of one story show the same characters and places.

A picture costs a fraction of its shot to code, so there can be thousands of stories of them. That many are needed: a
network that saw the pictures of a few hundred stories knew those by heart and drew no others better (docs/log.md).

Axes: N pictures · C latent channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.files import whole_file
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import full_prompt
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION
from shotstream.data.world.splits import Split
from shotstream.data.world.stories import make_story
from shotstream.training.shard_folder import claim, shard_file
from shotstream.training.shard_workers import make_shards

SHARD = 128  # stories per file

Drawn = tuple[list[NDArray[np.uint8]], list[str]]  # pictures [N, H, W, 3] and a prompt per shot


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldPictures:
    """``per_shot`` pictures of every shot, evenly apart from a random one on; no story is one of ``WorldStories``."""

    seed: int
    split: Split
    geometry: Geometry
    per_shot: int = 1

    @property
    def made_by(self) -> Mapping[str, Any]:
        made_by = {"world": WORLD_VERSION, "seed": self.seed, "split": self.split, "per_shot": self.per_shot}
        return made_by | {"layout": "stories"}  # files that do not tell where stories end are made anew

    def drawn(self, stories: range) -> Iterator[Drawn]:
        """The pictures of ``stories``, in their order."""
        return map(self._draw, stories)

    def _draw(self, number: int) -> Drawn:
        story = make_story(derive(self.seed, "pictures", self.split, number), split=self.split)
        dice, geometry = random.Random(derive(self.seed, "frames", self.split, number)), self.geometry
        pictures = []
        for place, shot in enumerate(story.shots):
            frames = geometry.shot_frames(geometry.blocks_for(shot.seconds))
            step = max(1, frames // self.per_shot)
            wanted = range(dice.randrange(step), frames, step)[: self.per_shot]
            size = {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
            pictures.append(render_shot(story, place, frames=wanted, **size)[0])
        return pictures, [full_prompt(story.global_caption, shot.caption) for shot in story.shots]


class PictureStore:
    """Draws pictures from shards that stay on disk, alone or with those of their story."""

    def __init__(self, folder: Path, shards: int) -> None:
        self._shards = [safe_open(shard_file(folder, number), "pt") for number in range(shards)]
        self._shots = [json.loads(shard.metadata()["pictures"]) for shard in self._shards]
        lengths = [json.loads(shard.metadata()["stories"]) for shard in self._shards]
        self._stories = [
            (number, range(end - length, end))
            for number, shots in enumerate(lengths)
            for length, end in zip(shots, accumulate(shots), strict=True)
        ]

    @cached_property
    def longest(self) -> int:
        """Shots of the longest story."""
        return max(len(shots) for _, shots in self._stories)

    def draw(self, draw: random.Random) -> tuple[Tensor, Tensor]:
        """A picture [C, h, w] and the caption [L, D] of its shot, float32; every shot is as likely as every other."""
        number = draw.choices(range(len(self._shards)), [len(shots) for shots in self._shots])[0]
        return self._picture(number, draw.randrange(len(self._shots[number])), draw)

    def draw_story(self, draw: random.Random, shots: int) -> tuple[Tensor, Tensor]:
        """A picture [shots, C, h, w] and the caption [shots, L, D] of each of the first ``shots`` of some story.

        shots: at most :attr:`longest`.
        """
        while True:
            number, found = self._stories[draw.randrange(len(self._stories))]
            if len(found) >= shots:
                break
        pictures, captions = zip(*(self._picture(number, shot, draw) for shot in found[:shots]), strict=True)
        return torch.stack(pictures), torch.stack(captions)

    def _picture(self, number: int, shot: int, draw: random.Random) -> tuple[Tensor, Tensor]:
        picture = draw.randrange(self._shots[number][shot])
        latents = self._shards[number].get_slice(f"{shot}.latents")[picture]
        return latents.float(), self._shards[number].get_tensor(f"{shot}.caption").float()


def build_pictures(
    folder: Path,
    source: WorldPictures,
    *,
    stories: int,
    codec: VideoCodec,
    codec_version: str,
    text: TextEncoder,
    side_by_side: bool,
    progress: Callable[[int, int], None],
) -> PictureStore:
    """``stories`` of ``source``, rounded up to whole files, in ``folder``; files that are there are kept."""
    claim(folder / "pictures.json", {**source.made_by, "codec": codec_version})
    shards = -(-stories // SHARD)
    missing = [number for number in range(shards) if not shard_file(folder, number).exists()]
    parts = {number: range(number * SHARD, (number + 1) * SHARD) for number in missing}
    done = 0
    for more in make_shards(partial(_shard, folder, source, codec, text, parts), missing, side_by_side=side_by_side):
        done += more
        progress(done, sum(len(part) for part in parts.values()))
    return PictureStore(folder, shards)


def _shard(
    folder: Path,
    source: WorldPictures,
    codec: VideoCodec,
    text: TextEncoder,
    parts: Mapping[int, range],
    number: int,
) -> Iterator[int]:
    """Makes a shard; yields 1 for every story."""
    tensors: dict[str, Tensor] = {}
    counts: list[int] = []
    stories: list[int] = []
    for pictures, captions in source.drawn(parts[number]):
        pixels = torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        coded = codec.encode_images(pixels).half().cpu().split([len(shot) for shot in pictures])
        for latents, caption in zip(coded, text.encode(captions), strict=True):
            shot = len(counts)
            tensors |= {f"{shot}.latents": latents.contiguous(), f"{shot}.caption": caption.half().contiguous()}
            counts.append(len(latents))
        stories.append(len(pictures))
        yield 1
    with whole_file(shard_file(folder, number)) as temporary:
        save_file(tensors, temporary, metadata={"pictures": json.dumps(counts), "stories": json.dumps(stories)})
