"""A small recogniser with random weights, a small picture, and films on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.data.recognition.network import Recogniser, RecogniserConfig, load_recogniser, save_recogniser
from shotstream.evaluation.judge import Recognisers
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import FilmTags

GEOMETRY = Geometry(width=64, height=32, spatial=16, latent_channels=4)
SMALL = RecogniserConfig(
    width=32, height=16, crop=16, channels=(8, 8, 16), depths=(0, 1, 1), person_channels=(8, 8, 16), embedding=8,
    picture_features=8,
)  # fmt: skip


@pytest.fixture(scope="session")
def recognisers(tmp_path_factory: pytest.TempPathFactory) -> Recognisers:
    path = tmp_path_factory.mktemp("recognisers") / "recognisers.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_recogniser(Recogniser(SMALL), path, {"truth/place": 0.5})
    return Recognisers(*load_recogniser(path))


def write_scenes(path: Path, lengths: list[int], story: Story, size: tuple[int, int] = (96, 64)) -> Path:
    """A film whose shots are sliding patterns of very different brightness, one chapter each."""
    video = VideoFormat(width=size[0], height=size[1], fps=16)
    tags = FilmTags(title="t", story=story, seed=0, model="m", model_version="1")
    with write_film(path, video, tags) as writer:
        for index, length in enumerate(lengths):
            rng = np.random.default_rng(index)
            base = rng.integers(0, 90, (size[1] // 16, size[0] // 16, 3)) + 160 * (index % 2)
            field = np.repeat(np.repeat(base.astype(np.uint8), 16, 0), 16, 1)
            writer.add_shot("shot", np.stack([np.roll(field, step, axis=1) for step in range(length)]))
    return path


def story_of(shots: int) -> Story:
    return Story(global_caption="A fox.", shots=tuple(Shot(caption=f"Shot {index}.") for index in range(shots)))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three shots of 21, 33 and 21 frames."""
    return write_scenes(tmp_path / "film.mp4", [21, 33, 21], story_of(3))


@pytest.fixture
def geometry() -> Geometry:
    return GEOMETRY
