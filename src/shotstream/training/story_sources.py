"""Where the stories of a latent store come from: drawn by the world, or read from a manifest of clips.

Axes: T pixel frames, H, W pixels
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import full_prompt
from shotstream.data.clip_frames import shots_of
from shotstream.data.clip_manifest import Clip
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.splits import Split
from shotstream.data.world.stories import make_story
from shotstream.training.latent_store import SHARD, Drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldStories:
    """Stories of the procedural world, as many as are asked for. decoded_share: see ``MaterialSettings``."""

    seed: int
    split: Split
    decoded_share: float
    geometry: Geometry

    @property
    def made_by(self) -> Mapping[str, Any]:
        return {
            "world": WORLD_VERSION,
            "seed": self.seed,
            "split": self.split,
            "decoded_share": self.decoded_share,
        }

    def held(self, number: int) -> int:
        return SHARD

    def decoded(self, story: int) -> bool:
        return random.Random(derive(self.seed, "history", self.split, story)).random() < self.decoded_share

    def drawn(self, stories: list[int]) -> Iterator[Drawn]:
        return map(self._draw, stories)

    def story(self, number: int) -> WorldStory:
        """Story ``number``, not drawn yet."""
        return make_story(derive(self.seed, "story", self.split, number), split=self.split)

    def _draw(self, number: int) -> Drawn:
        story, geometry = self.story(number), self.geometry
        videos = [
            render_shot(
                story,
                place,
                frames=geometry.shot_frames(geometry.blocks_for(shot.seconds)),
                width=geometry.width,
                height=geometry.height,
                fps=geometry.fps,
            )[0]
            for place, shot in enumerate(story.shots)
        ]
        return number, videos, [full_prompt(story.global_caption, shot.caption) for shot in story.shots]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipStories:
    """``clips`` of a manifest, whose content ``version`` names."""

    clips: Sequence[Clip]
    version: str
    seed: int
    decoded_share: float
    geometry: Geometry

    @property
    def made_by(self) -> Mapping[str, Any]:
        size = [self.geometry.width, self.geometry.height, self.geometry.shot_frames(self.geometry.max_blocks)]
        share = {"seed": self.seed, "decoded_share": self.decoded_share}
        return {"clips": self.version, "first": self.clips[0].place, "size": size, **share}

    def held(self, number: int) -> int:
        return min(SHARD, len(self.clips) - number * SHARD)

    def decoded(self, story: int) -> bool:
        return random.Random(derive(self.seed, "history", "clips", story)).random() < self.decoded_share

    def drawn(self, stories: list[int]) -> Iterator[Drawn]:
        """One at a time: a shot is read from the video when its turn to be coded comes."""
        for story in stories:
            clip = self.clips[story]
            yield story, shots_of(clip, self.geometry), clip.prompts
