"""The recognisers: one small convolutional network with a head per question, and embeddings of person and place.

It sees a *moment*: three frames a quarter of a second apart, so that a walk differs from a stand and a pan from a
wide shot. Where each person is it finds itself (one attention map per slot, taught by the world's boxes).

Axes: N moments · M = 3 frames of one · H, W pixels · S slots · E embedding · P picture features
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from shotstream.core.config import Config
from shotstream.data.recognition.questions import PERSON, PICTURE, SLOTS

FRAMES = 3
_MAPS = SLOTS + 1  # the last one is free to find the landmark


class RecogniserConfig(Config):
    """Sizes of the network. ``height`` and ``width``: what every picture is shrunk to."""

    width: int = Field(default=128, gt=0)
    height: int = Field(default=80, gt=0)
    channels: tuple[int, int, int] = (32, 64, 128)
    depths: tuple[int, int, int] = (0, 2, 2)
    embedding: int = Field(default=32, gt=0)
    picture_features: int = Field(default=64, gt=0, le=64)


@dataclass(frozen=True, slots=True)
class Readings:
    """Answers to a batch of moments. Logits are lists over questions; embeddings have length 1."""

    picture: list[Tensor]  # per question of PICTURE: [N, classes]
    person: list[Tensor]  # per question of PERSON: [N, S, classes]
    where: Tensor  # [N, S, h, w], sums to 1 over the grid
    identity: Tensor  # [N, S, E]
    place: Tensor  # [N, E]
    features: Tensor  # [N, P]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.one = nn.Conv2d(channels, channels, 3, padding=1)
        self.two = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(functional.silu(self.one(functional.silu(self.norm(x)))))


class Recogniser(nn.Module):
    """See the file's head. Weights alone; :mod:`shotstream.data.recognition.files` reads and writes them."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.channels
        self.trunk = nn.Sequential(
            nn.Conv2d(3 * FRAMES, first, 5, stride=2, padding=2),
            *(_Residual(first) for _ in range(config.depths[0])),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            *(_Residual(second) for _ in range(config.depths[1])),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            *(_Residual(third) for _ in range(config.depths[2])),
            nn.GroupNorm(8, third),
            nn.SiLU(),
        )
        cells = (-(-config.height // 8), -(-config.width // 8))
        self.position = nn.Parameter(torch.zeros(third, *cells))
        self.attention = nn.Conv2d(third, _MAPS, 1)
        self.whole = nn.Linear(3 * third, third)
        self.person_hidden = nn.Linear(2 * third, third)
        self.to_features = nn.Linear(third, config.picture_features)
        self.to_place = nn.Linear(third, config.embedding)
        self.to_identity = nn.Linear(third, config.embedding)
        self.picture_heads = nn.ModuleList(nn.Linear(config.picture_features, len(c)) for c in PICTURE.values())
        self.person_heads = nn.ModuleList(nn.Linear(third, len(c)) for c in PERSON.values())

    def forward(self, moments: Tensor) -> Readings:
        """moments [N, M, H, W, 3] uint8, of the config's size."""
        pixels = moments.permute(0, 1, 4, 2, 3).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        maps = self.trunk(pixels.float().div(127.5).sub(1)) + self.position
        attention = self.attention(maps).flatten(2).float().softmax(-1)  # [N, S + 1, h w]
        cells = maps.flatten(2)
        found = (attention.to(cells.dtype) @ cells.transpose(1, 2)).float()  # [N, S + 1, C]
        mean, most = cells.mean(2).float(), cells.amax(2).float()
        whole = functional.silu(self.whole(torch.cat([mean, most, found[:, -1]], 1)))
        features = self.to_features(whole).float()
        around = mean[:, None].expand(-1, SLOTS, -1)
        person = functional.silu(self.person_hidden(torch.cat([found[:, :SLOTS], around], 2)))
        return Readings(
            picture=[head(functional.silu(features)).float() for head in self.picture_heads],
            person=[head(person).float() for head in self.person_heads],
            where=attention[:, :SLOTS].unflatten(2, maps.shape[2:]),
            identity=functional.normalize(self.to_identity(person).float(), dim=-1),
            place=functional.normalize(self.to_place(whole).float(), dim=-1),
            features=features,
        )


def shrink(frames: NDArray[np.uint8], config: RecogniserConfig) -> NDArray[np.uint8]:
    """Pictures uint8 [T, H, W, 3] of any size, averaged down to the network's."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    small = functional.adaptive_avg_pool2d(pixels, (config.height, config.width))
    return np.asarray(small.round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def moment_frames(middle: int, fps: float, length: int) -> list[int]:
    """The frames of the moment around frame ``middle`` of a shot of ``length`` frames, kept inside the shot."""
    apart = max(1, round(fps / 4))
    return [min(max(middle + step * apart, 0), length - 1) for step in (-1, 0, 1)]
