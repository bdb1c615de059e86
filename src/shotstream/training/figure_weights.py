"""Where characters are seen in the latents of a shot, and how much more a loss counts there.

A character far away is a twentieth of its picture: what is wrong with it hardly shows in a mean over all cells,
and it is what people look at. Its cells are weighed up, the more the fewer they are.

Axes: F latent frames · h, w latent cells
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import torch
from torch import Tensor

from shotstream.core.geometry import Geometry
from shotstream.data.world.render import ShotPainter
from shotstream.training.story_sources import WorldStories

SMALLEST_SHARE = 0.06  # of the cells; characters seen in fewer are not weighed up further
PIXELS = 2  # per latent cell and side: enough to tell where a character is


class FigureWeights:
    """Of the shots of ``source``; ``extra`` is what characters count for together, beside the whole shot as 1."""

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
