"""Single pictures of many stories as latents, coded once: what a teacher learns from before it sees shots, and
what it learns to use context from: the pictures of one story show the same characters and places.

A picture costs a fraction of its shot to code, so there can be thousands of stories of them. That many are needed: a
network that saw the pictures of a few hundred stories knew those by heart and drew no others better.

Axes: N pictures · C latent channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
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
from shotstream.core.randomness import derive
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import WORLD_VERSION
from shotstream.data.world.stories import TRAINING_STYLE, Split, make_story
from shotstream.families.preset import Preset
from shotstream.sampling.context import to_pixels
from shotstream.training.data.shards import ShardsAhead, claim, make_missing, shard_file, shown_shards
from shotstream.training.data.story_sources import prompts_made_by

SHARD = 128  # stories per file

Drawn = tuple[list[NDArray[np.uint8]], list[str]]  # pictures [N, H, W, 3] and a prompt per shot


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldPictures:
    """``per_shot`` pictures of every shot, evenly apart from a random one on; no story is one of ``WorldStories``."""

    seed: int
    split: Split
    preset: Preset
    per_shot: int = 1

    @property
    def made_by(self) -> Mapping[str, Any]:
        made_by = {"world": WORLD_VERSION, "seed": self.seed, "split": self.split, "per_shot": self.per_shot}
        layout = {"layout": "stories, changes"}  # files that do not tell where stories end are made anew
        return made_by | layout | prompts_made_by(self.preset)

    def drawn(self, stories: range) -> Iterator[Drawn]:
        """The pictures of ``stories``, in their order."""
        return map(self._draw, stories)

    def _draw(self, number: int) -> Drawn:
        seed = derive(self.seed, "pictures", self.split, number)
        story = make_story(seed, split=self.split, style=TRAINING_STYLE)
        dice, geometry = random.Random(derive(self.seed, "frames", self.split, number)), self.preset.geometry
        pictures, prompts = [], []
        for place, shot in enumerate(story.shots):
            frames = geometry.shot_frames(geometry.blocks_for(shot.seconds))
            step = max(1, frames // self.per_shot)
            wanted = range(dice.randrange(step), frames, step)[: self.per_shot]
            then = shot.at(wanted[0] / geometry.fps)
            same = [frame for frame in wanted if shot.at(frame / geometry.fps) == then]  # this side of a change
            pictures.append(draw_shot(story, place, wanted[: len(same)], geometry))
            prompts.append(self.preset.prompt(story.global_caption, then.caption, place))
        return pictures, prompts


class PictureStore:
    """Draws pictures from shards that stay on disk, alone or with those of their story."""

    def __init__(self, folder: Path, shards: int, more: ShardsAhead) -> None:
        """shards: how many are there; more: makes others."""
        self._folder, self._more = folder, more
        self._shards: dict[int, Any] = {}
        self._shots: dict[int, list[int]] = {}
        self._stories: dict[int, list[range]] = {}
        self._at_once = shards
        self._show(range(shards))

    def _show(self, shown: range) -> None:
        """From now on draw from the shards ``shown``, which are there."""
        for number in [number for number in self._shards if number not in shown]:
            del self._shards[number], self._shots[number], self._stories[number]
        for number in shown:
            if number not in self._shards:
                shard = self._shards[number] = safe_open(shard_file(self._folder, number), "pt")
                said = shard.metadata()
                self._shots[number] = json.loads(said["pictures"])
                lengths = json.loads(said["stories"])
                ends = accumulate(lengths)
                self._stories[number] = [range(end - length, end) for length, end in zip(lengths, ends, strict=True)]
        self._whole = [(number, shots) for number in shown for shots in self._stories[number]]

    def learnt(self, pictures: float, seen: float) -> None:
        """Draw on: after so many ``pictures`` show others, so that each is drawn ``seen`` times on average."""
        held = len(self._shots[min(self._shots)])
        shown = shown_shards(self._at_once, pictures, seen, held)
        if shown.stop > max(self._shards) + 1:
            self._more.reach(shown.stop)
            self._show(shown)

    @property
    def longest(self) -> int:
        """Shots of the longest story."""
        return max(len(shots) for _, shots in self._whole)

    def draw(self, draw: random.Random) -> tuple[Tensor, Tensor]:
        """A picture [C, h, w] and the caption [L, D] of its shot, float32; every shot is as likely as every other."""
        number = draw.choices(list(self._shots), [len(shots) for shots in self._shots.values()])[0]
        return self._picture(number, draw.randrange(len(self._shots[number])), draw)

    def draw_story(self, draw: random.Random, shots: int) -> tuple[Tensor, Tensor]:
        """A picture [shots, C, h, w] and the caption [shots, L, D] of each of the first ``shots`` of some story.

        shots: at most :attr:`longest`.
        """
        while True:
            number, found = self._whole[draw.randrange(len(self._whole))]
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
    held, work = SHARD, partial(_shard, folder, source, codec, text, SHARD)
    more = make_missing(folder, work, shards, lambda number: held, side_by_side=side_by_side, progress=progress)
    return PictureStore(folder, shards, more)


def _shard(
    folder: Path,
    source: WorldPictures,
    codec: VideoCodec,
    text: TextEncoder,
    held: int,
    number: int,
) -> Iterator[int]:
    """Makes a shard of ``held`` stories; yields 1 for every story."""
    tensors: dict[str, Tensor] = {}
    counts: list[int] = []
    stories: list[int] = []
    for pictures, captions in source.drawn(range(number * held, (number + 1) * held)):
        pixels = to_pixels(np.concatenate(pictures))
        coded = codec.encode_images(pixels).half().cpu().split([len(shot) for shot in pictures])
        for latents, caption in zip(coded, text.encode(captions), strict=True):
            shot = len(counts)
            tensors |= {f"{shot}.latents": latents.contiguous(), f"{shot}.caption": caption.half().contiguous()}
            counts.append(len(latents))
        stories.append(len(pictures))
        yield 1
    with whole_file(shard_file(folder, number)) as temporary:
        save_file(tensors, temporary, metadata={"pictures": json.dumps(counts), "stories": json.dumps(stories)})
