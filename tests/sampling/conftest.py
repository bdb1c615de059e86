"""A small transformer, a past, and codecs whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.shot_generator import ShotGenerator

GEOMETRY = Geometry(width=24, height=16, spatial=4, latent_channels=4, max_blocks=4, context_frames=2)


class LetterEncoder:
    """One token per letter, five letters, one-hot by letter code."""

    text_len, text_dim = 5, 8

    def encode(self, captions: Sequence[str]) -> Tensor:
        tokens = torch.zeros(len(captions), self.text_len, self.text_dim)
        for row, caption in enumerate(captions):
            for column, letter in enumerate(caption[-self.text_len :]):
                tokens[row, column, ord(letter) % self.text_dim] = 1
        return tokens

    def lost_words(self, text: str) -> list[str]:
        return []

    def unknown_words(self, text: str) -> list[str]:
        return []


class BlockCodec:
    """A latent cell is its block of pixels' mean colour; a latent frame is ``temporal`` equal frames."""

    geometry = GEOMETRY

    def encode_images(self, images: Tensor) -> Tensor:
        cells = torch.nn.functional.avg_pool2d(images, GEOMETRY.spatial)
        return torch.cat([cells, cells.mean(1, keepdim=True)], dim=1)

    def encode(self, video: Tensor) -> Tensor:
        kept = video[:, :: GEOMETRY.temporal]
        return self.encode_images(kept.flatten(0, 1)).unflatten(0, kept.shape[:2])

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder().push(latents)

    def decoder(self) -> BlockDecoder:
        return BlockDecoder()


class BlockDecoder:
    def __init__(self) -> None:
        self.started = False

    def push(self, latents: Tensor) -> Tensor:
        pixels = latents[:, :, :3].repeat_interleave(GEOMETRY.spatial, 3).repeat_interleave(GEOMETRY.spatial, 4)
        video = pixels.repeat_interleave(GEOMETRY.temporal, 1)
        first = 0 if self.started else GEOMETRY.temporal - 1
        self.started = True
        return video[:, first:]


class Past:
    """A finished shot of one colour; remembers which frames were asked for."""

    def __init__(self, index: int, prompt: str, frame_count: int = 21) -> None:
        self.index, self.prompt, self.frame_count, self.key = index, prompt, frame_count, ("past", index)
        self.asked: list[int] = []

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        self.asked.extend(frames)
        return np.full((len(frames), GEOMETRY.height, GEOMETRY.width, 3), 40 * (self.index + 1), np.uint8)


@pytest.fixture
def geometry() -> Geometry:
    return GEOMETRY


@pytest.fixture
def past() -> list[Past]:
    """Three finished shots; the budget is two frames."""
    return [Past(index, prompt) for index, prompt in enumerate(("a fox", "a bear", "an owl"))]


@pytest.fixture
def codec() -> BlockCodec:
    return BlockCodec()


@pytest.fixture
def text_encoder() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(in_channels=4, dim=48, ffn_dim=64, heads=2, layers=2, freq_dim=32, text_dim=8)
    model = Transformer(config)
    torch.nn.init.normal_(model.head.head.weight, std=0.1)
    return model


@pytest.fixture
def context() -> ContextFrames:
    """Two condition frames of shots 0 and 1."""
    torch.manual_seed(2)
    index = torch.tensor([0, 1])
    return ContextFrames(
        latents=torch.randn(1, 2, *GEOMETRY.latent_shape),
        shot_index=index,
        captions=torch.randn(1, 2, 5, 8),
        caption_index=index,
    )


@pytest.fixture
def caption() -> Tensor:
    return torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def director(model: Transformer) -> ShotGenerator:
    return ShotGenerator(model, LetterEncoder(), BlockCodec(), preset_of(model, SamplerSettings(timesteps=(1000, 500))))


def preset_of(model: Transformer, student: SamplerSettings, **other: object) -> Preset:
    """A preset for the small model whose student is sampled as ``student`` says."""
    return Preset(
        name="small",
        geometry=GEOMETRY,
        transformer=model.config,
        schedule=FlowSchedule(shift=3.0),
        student=student,
        teacher=student,
        **other,  # type: ignore[arg-type]
    )
