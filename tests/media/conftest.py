"""A short film to write and read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shotstream.core.story import Shot, Story
from shotstream.media.h264 import VideoFormat
from shotstream.media.provenance import FilmTags

VIDEO = VideoFormat(width=96, height=64, fps=16)
CAPTIONS = ("Wide shot. The fox — it walks.", "Close-up.\nThe fox waves.")
LENGTHS = (9, 21)


def clip(frames: int, seed: int) -> np.ndarray:
    """A soft pattern that slides to the right, uint8 [frames, height, width, 3]."""
    blobs = np.random.default_rng(seed).integers(70, 190, (4, 6, 3), dtype=np.uint8)
    still = np.asarray(Image.fromarray(blobs).resize((VIDEO.width, VIDEO.height), Image.Resampling.BICUBIC))
    return np.stack([np.roll(still, frame, axis=1) for frame in range(frames)])


@pytest.fixture
def video() -> VideoFormat:
    return VIDEO


@pytest.fixture
def shots() -> list[tuple[str, np.ndarray]]:
    return [(caption, clip(length, seed)) for seed, (caption, length) in enumerate(zip(CAPTIONS, LENGTHS, strict=True))]


@pytest.fixture
def tags() -> FilmTags:
    story = Story(
        global_caption="A red fox in “winter” <&>.", seed=7, shots=tuple(Shot(caption=text) for text in CAPTIONS)
    )
    return FilmTags(title="fox", story=story, seed=7, model="storyworld", model_version="1")
