"""Sources of a latent store: stories drawn by the world, with loss weights of their characters, or clips of a manifest.

Axes: T pixel frames, H, W pixels · F latent frames · h, w latent cells
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shotstream.core.context_budget import pickable_frames
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import PLAIN_PROMPT
from shotstream.data.clip_manifest import Clip, ShotFrames, shots_of
from shotstream.data.world.render import ShotPainter, draw_shot
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.stills import pin_character, pin_place
from shotstream.data.world.stories import TRAINING_STYLE, Split, make_story
from shotstream.families.preset import Preset
from shotstream.training.data.latent_store import SHARD, Drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldStories:
    """Stories of the procedural world, as many as are asked for. decoded_share: see ``MaterialSettings``."""

    seed: int
    split: Split
    decoded_share: float
    preset: Preset

    @property
    def made_by(self) -> Mapping[str, Any]:
        made_by = {
            "world": WORLD_VERSION,
            "seed": self.seed,
            "split": self.split,
            "decoded_share": self.decoded_share,
            "layout": "changes and pinned pictures",
        }
        return made_by | prompts_made_by(self.preset)

    @property
    def endless(self) -> bool:
        return True

    def held(self, number: int) -> int:
        return SHARD

    def decoded(self, story: int) -> bool:
        return random.Random(derive(self.seed, "history", self.split, story)).random() < self.decoded_share

    def drawn(self, stories: list[int]) -> Iterator[Drawn]:
        return map(self._draw, stories)

    def story(self, number: int) -> WorldStory:
        """Story ``number``, not drawn yet."""
        return make_story(derive(self.seed, "story", self.split, number), split=self.split, style=TRAINING_STYLE)

    def _draw(self, number: int) -> Drawn:
        story, geometry = self.story(number), self.preset.geometry
        videos = [
            draw_shot(story, place, geometry.shot_frames(geometry.blocks_for(shot.seconds)), geometry)
            for place, shot in enumerate(story.shots)
        ]
        changes = [
            None
            if shot.change is None
            else (
                1 + round((shot.change.seconds * geometry.fps - 1) / geometry.temporal),
                self.preset.prompt(story.global_caption, shot.change.caption, place),
            )
            for place, shot in enumerate(story.shots)
        ]
        picks = [pickable_frames(len(video), geometry.context_frames) for video in videos]
        shots = [ShotFrames(video, len(video), video[pick]) for video, pick in zip(videos, picks, strict=True)]
        prompts = prompts_of(self.preset, story.global_caption, [shot.caption for shot in story.shots])
        return Drawn(number, shots, prompts, changes, list(self._pinned(story)))

    def _pinned(self, story: WorldStory) -> Iterator[tuple[NDArray[np.uint8], str]]:
        """A picture of everybody who is in a shot, and of every place that is."""
        seen = {role.character for shot in story.shots for role in shot.roles}
        pictures = [pin_character(story, index) for index in sorted(seen)]
        pictures += [pin_place(story, index) for index in sorted({shot.place for shot in story.shots})]
        for picture in pictures:
            yield picture.draw(self.preset.geometry.width, self.preset.geometry.height), picture.caption


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipStories:
    """``clips`` of a manifest, whose content ``version`` names."""

    clips: Sequence[Clip]
    version: str
    seed: int
    decoded_share: float
    preset: Preset

    @property
    def made_by(self) -> Mapping[str, Any]:
        geometry = self.preset.geometry
        size = [geometry.width, geometry.height, geometry.shot_frames(geometry.max_blocks)]
        share = {"seed": self.seed, "decoded_share": self.decoded_share, "layout": "changes, whole shots"}
        made_by = {"clips": self.version, "first": self.clips[0].place, "size": size, **share}
        return made_by | prompts_made_by(self.preset)

    @property
    def endless(self) -> bool:
        return False

    def held(self, number: int) -> int:
        return min(SHARD, len(self.clips) - number * SHARD)

    def decoded(self, story: int) -> bool:
        return random.Random(derive(self.seed, "history", "clips", story)).random() < self.decoded_share

    def drawn(self, stories: list[int]) -> Iterator[Drawn]:
        """One at a time: a shot is read from the video when its turn to be coded comes."""
        for story in stories:
            clip, told = self.clips[story], self.clips[story].story
            prompts = prompts_of(self.preset, told.global_caption, [shot.caption for shot in told.shots])
            yield Drawn(story, shots_of(clip, self.preset.geometry), prompts, [None] * len(prompts))


def prompts_of(preset: Preset, global_caption: str, captions: Sequence[str]) -> list[str]:
    """What the model reads for every shot of a story."""
    return [preset.prompt(global_caption, caption, shot) for shot, caption in enumerate(captions)]


def prompts_made_by(preset: Preset) -> dict[str, str]:
    """What tells embeddings of another prompt form apart; nothing for the plain form, as before there were others."""
    return {} if preset.prompt_form == PLAIN_PROMPT else {"prompt_form": preset.prompt_form}


SMALLEST_SHARE = 0.06  # of the cells; characters seen in fewer are not weighed up further
PIXELS = 2  # per latent cell and side: enough to tell where a character is


class CharacterWeights:
    """Loss weights of latent cells that show characters, in the shots of ``source``.

    A character far away is a twentieth of its picture: what is wrong with it hardly shows in a mean over all cells,
    and it is what people look at. Its cells are weighed up, the more the fewer they are. ``extra``: what characters
    count for together, beside the whole shot as 1.
    """

    def __init__(self, source: WorldStories, geometry: Geometry, extra: float) -> None:
        self._geometry, self._extra = geometry, extra
        self._story = lru_cache(maxsize=64)(source.story)

    def of(self, story: int, shot: int, length: int) -> Tensor:
        """Weights [F, 1, h, w] of the first ``length`` latent frames F of a shot; their mean is 1."""
        seen = self._seen(story, shot, length)
        weights = 1 + self._extra * seen / max(float(seen.mean()), SMALLEST_SHARE)
        return weights / weights.mean()

    def _seen(self, story: int, shot: int, length: int) -> Tensor:
        """[F, 1, h, w]: 1 where a character's box is, at either end of the time that a latent frame stands for."""
        geometry = self._geometry
        _, height, width = geometry.latent_shape
        painter = ShotPainter(self._story(story), shot, PIXELS * width, PIXELS * height)
        seen = torch.zeros(length, 1, height, width)
        for frame in range(length):
            last = geometry.pixel_frames(frame + 1) - 1
            for pixel_frame in {max(0, last - geometry.temporal + 1), last}:
                for one in painter.seen_at(pixel_frame / geometry.fps):
                    left, top, right, bottom = one.box
                    rows = slice(int(top * height), ceil(bottom * height))
                    seen[frame, 0, rows, int(left * width) : ceil(right * width)] = 1
        return seen
