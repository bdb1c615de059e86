"""All geometry: pixels, latent cells, tokens and blocks, derived from each other.

A shot of B blocks holds ``B * block_frames`` latent frames and
``1 + temporal * (B * block_frames - 1)`` pixel frames (12 B - 3 for blocks of 3 and 4x in time):
the first latent frame stands for one pixel frame, every other for ``temporal``.
"""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from shotstream.core.config import Config
from shotstream.core.errors import InputError


class Geometry(Config):
    """Sizes of one preset. Everything else about sizes is derived from these fields."""

    width: int = Field(gt=0)  # pixels
    height: int = Field(gt=0)  # pixels
    fps: int = Field(default=16, gt=0)  # pixel frames per second
    spatial: int = Field(gt=0)  # pixels per side of a latent cell
    temporal: int = Field(default=4, gt=0)  # pixel frames per latent frame, but for the first
    latent_channels: int = Field(gt=0)
    patch: int = Field(default=2, gt=0)  # latent cells per side of a token
    block_frames: int = Field(default=3, gt=0)  # latent frames generated together (the paper's chunk)
    max_blocks: int = Field(default=7, gt=0)  # blocks of the longest shot the model was trained for
    default_blocks: int = Field(default=3, gt=0)
    context_frames: int = Field(default=6, gt=0)  # condition frames, the paper's budget

    @model_validator(mode="after")
    def _divisible(self) -> Geometry:
        cell = self.spatial * self.patch
        for name, size in (("width", self.width), ("height", self.height)):
            if size % cell:
                raise ValueError(
                    f"{name} {size} is not a multiple of {cell} (spatial {self.spatial} x patch {self.patch})"
                )
        return self

    def sized(self, width: int, height: int) -> Geometry:
        """The same for frames of another size. Raises :class:`InputError` unless whole tokens fill it."""
        cell = self.spatial * self.patch
        if min(width, height) < cell or width % cell or height % cell:
            near = " x ".join(str(max(1, round(size / cell)) * cell) for size in (width, height))
            raise InputError(f"size {width}x{height}: both must be multiples of {cell}; the nearest is {near}")
        return self.model_copy(update={"width": width, "height": height})

    @property
    def latent_height(self) -> int:
        return self.height // self.spatial

    @property
    def latent_width(self) -> int:
        return self.width // self.spatial

    @property
    def rows(self) -> int:
        """Token rows of one latent frame."""
        return self.latent_height // self.patch

    @property
    def columns(self) -> int:
        """Token columns of one latent frame."""
        return self.latent_width // self.patch

    @property
    def tokens_per_frame(self) -> int:
        return self.rows * self.columns

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, latent height, latent width) of one latent frame."""
        return (self.latent_channels, self.latent_height, self.latent_width)

    def pixel_frames(self, latent_frames: int) -> int:
        """Pixel frames that ``latent_frames`` latent frames decode to."""
        return 1 + self.temporal * (latent_frames - 1)

    def latent_frames(self, pixel_frames: int) -> int:
        """Latent frames of a clip of ``pixel_frames``; raises :class:`InputError` unless that is 1 + temporal * k."""
        whole, rest = divmod(pixel_frames - 1, self.temporal)
        if pixel_frames < 1 or rest:
            raise InputError(f"{pixel_frames} frames: a clip holds 1 + {self.temporal} k frames; trim it")
        return whole + 1

    def shot_frames(self, blocks: int) -> int:
        """Pixel frames of a shot of ``blocks`` blocks."""
        return self.pixel_frames(blocks * self.block_frames)

    def block_of(self, frame: int) -> int:
        """The block of a shot that holds its pixel frame ``frame``, both from 0."""
        first = self.shot_frames(1)
        return 0 if frame < first else 1 + (frame - first) // (self.temporal * self.block_frames)

    def shot_seconds(self, blocks: int) -> float:
        return self.shot_frames(blocks) / self.fps

    def blocks_for(self, seconds: float) -> int:
        """The number of blocks, at least 1, whose duration is nearest to ``seconds``. Beyond ``max_blocks`` a shot is
        longer than the model was trained for, and its window rolls."""
        latent_frames = (seconds * self.fps - 1) / self.temporal + 1
        return max(1, math.ceil(latent_frames / self.block_frames - 0.5))

    def further_blocks(self, seconds: float) -> int:
        """The number of blocks behind a shot's first whose duration is nearest to ``seconds``; at least 1 above 0."""
        return max(seconds > 0, round(seconds * self.fps / (self.temporal * self.block_frames)))

    def further_seconds(self, blocks: int) -> float:
        return blocks * self.temporal * self.block_frames / self.fps
