"""The recognisers: what they are asked, their networks (one for whole frames, one for close-ups), their files.

They see a *moment*: three frames a quarter of a second apart, so that a walk differs from a stand and a pan from a
wide shot. The first network reads the picture at half its size and finds where each person is (an attention map per
slot, and a box read off under it); the second reads what is inside that box, always at the same size, so that a
figure of a wide shot is read as one of a close-up is.

A picture cannot show which of two characters a story names first. So the networks answer for *slots*, the
persons from left to right: slot 0 is the only or leftmost one. Questions are those of
:mod:`shotstream.data.world.truth`; a person's lose their prefix.

Axes: N moments · M = 3 frames of one · H, W pixels · S slots · E embedding · P picture features
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from shotstream.checkpoints.codec_weights import load_module, write_module
from shotstream.core.config import Config
from shotstream.core.errors import WeightsError
from shotstream.data.world.spec import WORLD_VERSION, SeenCharacter, WorldStory
from shotstream.data.world.truth import ASKED, NOT_APPLICABLE, PERSONS, UNSTATED, asked_attributes, unstated_details

SLOTS = 2


def _of_person(name: str) -> bool:
    return name.startswith(tuple(f"{person}." for person in PERSONS))


_ALL = {attribute.name: attribute.classes for attribute in (*ASKED, *UNSTATED)}
PICTURE = {name: classes for name, classes in _ALL.items() if not _of_person(name)}
PERSON = {name.removeprefix("focus."): classes for name, classes in _ALL.items() if name.startswith(f"{PERSONS[0]}.")}


def picture_labels(story: WorldStory, shot: int) -> list[int]:
    """A label per question of ``PICTURE``, -1 where it does not apply."""
    truth = unstated_details(story, shot) | asked_attributes(story, shot)
    return [truth[name] for name in PICTURE]


def slot_order(seen: Sequence[SeenCharacter]) -> list[int]:
    """Those who are ``seen`` from left to right, as places in the shot's roles."""
    middles = [one.box[0] + one.box[2] for one in seen]
    return sorted(range(len(middles)), key=middles.__getitem__)


def person_labels(story: WorldStory, shot: int, order: Sequence[int], time: float | None = None) -> list[list[int]]:
    """A label per slot and question of ``PERSON``, -1 for an empty slot; ``time``: of the shot at so many seconds."""
    truth = unstated_details(story, shot) | asked_attributes(story, shot, time)
    filled = [[truth[f"{PERSONS[role]}.{name}"] for name in PERSON] for role in order]
    return filled + [[NOT_APPLICABLE] * len(PERSON)] * (SLOTS - len(filled))


class MomentTruth(NamedTuple):
    """Labels of a moment, its boxes (fractions; an empty slot's is 0), and who is in which slot (-1: nobody)."""

    picture: list[int]
    person: list[list[int]]
    boxes: list[tuple[float, float, float, float]]
    character: list[int]


def moment_truth(story: WorldStory, shot: int, seen: Sequence[SeenCharacter], times: Sequence[float]) -> MomentTruth:
    """Of a moment at ``times``, seconds into the shot; ``seen``: who is where in its middle.

    A moment across a change of action shows neither: as of the whole shot, it is not asked for.
    """
    order, spec = slot_order(seen), story.shots[shot]
    time = times[0] if spec.at(times[0]) == spec.at(times[-1]) else None
    empty = SLOTS - len(order)
    return MomentTruth(
        picture=picture_labels(story, shot),
        person=person_labels(story, shot, order, time),
        boxes=[seen[role].box for role in order] + [(0.0, 0.0, 0.0, 0.0)] * empty,
        character=[seen[role].character for role in order] + [-1] * empty,
    )


FRAMES = 3
_MAPS = SLOTS + 1  # the last one is free to find the landmark
_MARGIN = 1.25  # sides of a crop per longer side of its box
_GLANCES = 4  # places of a crop that are read apart


class RecogniserConfig(Config):
    """Sizes of the networks. ``height`` and ``width``: what every picture is brought to; ``crop``: a person's."""

    width: int = Field(default=256, gt=0, multiple_of=2)
    height: int = Field(default=160, gt=0, multiple_of=2)
    crop: int = Field(default=64, gt=0, multiple_of=8)
    channels: tuple[int, int, int] = (32, 64, 128)
    depths: tuple[int, int, int] = (0, 1, 2)
    person_channels: tuple[int, int, int] = (32, 64, 128)
    person_depths: tuple[int, int, int] = (0, 2, 2)
    embedding: int = Field(default=32, gt=0)
    picture_features: int = Field(default=64, gt=0, le=64)


@dataclass(frozen=True, slots=True)
class Readings:
    """Answers to a batch of moments. Logits are lists over questions; embeddings have length 1."""

    picture: list[Tensor]  # per question of PICTURE: [N, classes]
    person: list[Tensor]  # per question of PERSON: [N, S, classes]
    where: Tensor  # [N, S, h, w], sums to 1 over the grid
    boxes: Tensor  # [N, S, 4] left, top, right, bottom as fractions of the picture
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


def _trunk(channels: tuple[int, int, int], depths: tuple[int, int, int]) -> nn.Sequential:
    """Pictures of a moment [N, 3 M, H, W] -> maps [N, C, H / 8, W / 8]."""
    first, second, third = channels
    return nn.Sequential(
        nn.Conv2d(3 * FRAMES, first, 5, stride=2, padding=2),
        *(_Residual(first) for _ in range(depths[0])),
        nn.SiLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        *(_Residual(second) for _ in range(depths[1])),
        nn.Conv2d(second, third, 3, stride=2, padding=1),
        *(_Residual(third) for _ in range(depths[2])),
        nn.GroupNorm(8, third),
        nn.SiLU(),
    )


class Recogniser(nn.Module):
    """See the file's head. Weights alone; :mod:`shotstream.data.recognition.network` reads and writes them."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.config = config
        wide, near = config.channels[2], config.person_channels[2]
        self.trunk = _trunk(config.channels, config.depths)
        self.position = nn.Parameter(torch.zeros(wide, -(-config.height // 16), -(-config.width // 16)))
        self.attention = nn.Conv2d(wide, _MAPS, 1)
        self.edges = nn.Conv2d(wide, 4 * SLOTS, 1)
        self.whole = nn.Linear(3 * wide, wide)
        self.to_features = nn.Linear(wide, config.picture_features)
        self.to_place = nn.Linear(wide, config.embedding)
        self.picture_heads = nn.ModuleList(nn.Linear(config.picture_features, len(c)) for c in PICTURE.values())
        self.person_trunk = _trunk(config.person_channels, config.person_depths)
        self.person_position = nn.Parameter(torch.zeros(near, config.crop // 8, config.crop // 8))
        self.glances = nn.Conv2d(near, _GLANCES, 1)
        self.person_hidden = nn.Linear((_GLANCES + 2) * near + 2 * wide, 2 * near)
        self.to_identity = nn.Linear(2 * near, config.embedding)
        self.person_heads = nn.ModuleList(nn.Linear(2 * near, len(c)) for c in PERSON.values())

    def forward(self, moments: Tensor, boxes: Tensor | None = None) -> Readings:
        """moments [N, M, H, W, 3] uint8, of the config's size. boxes [N, S, 4]: where to look for each person
        instead of where the network finds it, as in training."""
        pixels = moments.permute(0, 1, 4, 2, 3).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        pixels = pixels.float().div(127.5).sub(1)
        maps = self.trunk(functional.avg_pool2d(pixels, 2)) + self.position
        attention = self.attention(maps).flatten(2).float().softmax(-1)  # [N, S + 1, h w]
        found_boxes = self._boxes(maps, attention[:, :SLOTS])
        cells = maps.flatten(2)
        found = (attention.to(cells.dtype) @ cells.transpose(1, 2)).float()  # [N, S + 1, C]
        mean, most = cells.mean(2).float(), cells.amax(2).float()
        whole = functional.silu(self.whole(torch.cat([mean, most, found[:, -1]], 1)))
        features = self.to_features(whole).float()
        around = torch.cat([found[:, :SLOTS], mean[:, None].expand(-1, SLOTS, -1)], 2)
        near = self._looked_at(pixels, found_boxes.detach() if boxes is None else boxes)
        person = functional.silu(self.person_hidden(torch.cat([near, around], 2)))
        return Readings(
            picture=[head(functional.silu(features)).float() for head in self.picture_heads],
            person=[head(person).float() for head in self.person_heads],
            where=attention[:, :SLOTS].unflatten(2, maps.shape[2:]),
            boxes=found_boxes,
            identity=functional.normalize(self.to_identity(person).float(), dim=-1),
            place=functional.normalize(self.to_place(whole).float(), dim=-1),
            features=features,
        )

    def _boxes(self, maps: Tensor, attention: Tensor) -> Tensor:
        """[N, S, 4]: every cell guesses how far the edges are; the attention [N, S, h w] weighs the guesses."""
        height, width = maps.shape[2:]
        guesses = self.edges(maps).float().unflatten(1, (SLOTS, 4)).flatten(3)  # [N, S, 4, h w]
        rows = ((torch.arange(height, device=maps.device) + 0.5) / height)[:, None].expand(height, width).flatten()
        columns = ((torch.arange(width, device=maps.device) + 0.5) / width).expand(height, width).flatten()
        here = torch.stack([columns, rows, columns, rows])
        return ((guesses + here) * attention[:, :, None]).sum(-1)

    def _looked_at(self, pixels: Tensor, boxes: Tensor) -> Tensor:
        """What is inside ``boxes`` of ``pixels`` [N, 3 M, H, W]: [N, S, numbers]; zeros for an empty box."""
        filled = (boxes[..., 2] > boxes[..., 0]).flatten()
        crops = cropped(pixels, boxes, self.config.crop).flatten(0, 1)[filled]
        maps = self.person_trunk(crops.contiguous(memory_format=torch.channels_last)) + self.person_position
        cells = maps.flatten(2)
        glances = self.glances(maps).flatten(2).float().softmax(-1).to(cells.dtype) @ cells.transpose(1, 2)
        seen = torch.cat([glances.flatten(1), cells.mean(2), cells.amax(2)], 1)
        everyone = torch.zeros(len(filled), seen.shape[1], device=seen.device)
        return everyone.masked_scatter(filled[:, None], seen.float()).unflatten(0, boxes.shape[:2])


def cropped(pixels: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Squares of ``size`` pixels around ``boxes`` [N, S, 4]: pixels [N, C, H, W] -> [N, S, C, size, size].

    A square is a little larger than the longer side of its box; what lies outside of the picture is grey.
    """
    count, slots = boxes.shape[:2]
    height, width = pixels.shape[2:]
    left, top, right, bottom = boxes.float().unbind(-1)
    side = _MARGIN * torch.maximum((right - left) * width, (bottom - top) * height).clamp(min=4)  # pixels
    steps = (torch.arange(size, device=pixels.device) + 0.5) / size - 0.5
    x = (left + right)[..., None] / 2 + steps * (side / width)[..., None]  # [N, S, size], fractions of the picture
    y = (top + bottom)[..., None] / 2 + steps * (side / height)[..., None]
    grid = torch.stack([x[:, :, None].expand(-1, -1, size, -1), y[..., None].expand(-1, -1, -1, size)], -1)
    grid = (2 * grid - 1).reshape(count, slots * size, size, 2)
    seen = functional.grid_sample(pixels.float().contiguous(), grid, align_corners=False)  # [N, C, S size, size]
    return seen.unflatten(2, (slots, size)).transpose(1, 2)


def shrink(frames: NDArray[np.uint8], config: RecogniserConfig) -> NDArray[np.uint8]:
    """Pictures uint8 [T, H, W, 3] of any size, averaged down to the network's."""
    if frames.shape[1:3] == (config.height, config.width):
        return frames
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    small = functional.adaptive_avg_pool2d(pixels, (config.height, config.width))
    return np.asarray(small.round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def moment_frames(middle: int, fps: float, length: int) -> list[int]:
    """The frames of the moment around frame ``middle`` of a shot of ``length`` frames, kept inside the shot."""
    apart = max(1, round(fps / 4))
    return [min(max(middle + step * apart, 0), length - 1) for step in (-1, 0, 1)]


RECOGNISERS_VERSION = 2
_KIND = "recognisers"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself. ``accuracy``: share of right answers on held-out true films, by question."""

    version: str
    world: str
    accuracy: dict[str, float]


def save_recogniser(network: Recogniser, path: Path, accuracy: Mapping[str, float]) -> None:
    """Write ``network`` in half precision. Raises :class:`StorageError` when the disk refuses."""
    header = {
        "kind": _KIND,
        "version": str(RECOGNISERS_VERSION),
        "world": str(WORLD_VERSION),
        "config": network.config.model_dump_json(),
        "questions": json.dumps({"picture": PICTURE, "person": PERSON}),
        "accuracy": json.dumps({name: round(value, 4) for name, value in accuracy.items()}),
    }
    write_module(network, path, header)


def load_recogniser(path: Path) -> tuple[Recogniser, Header]:
    """What :func:`save_recogniser` wrote, as float32. Raises :class:`WeightsError`, one line.

    Weights that learned from another version of the world are read: who judges with them says so (``Header.world``).
    """
    network, header = load_module(path, _KIND, _built)
    asked = json.dumps({"picture": PICTURE, "person": PERSON})
    if header["questions"] != asked:
        raise WeightsError(
            f"{path}: was trained for another version of the world's questions; train storyworld/recognisers again"
        )
    return network, Header(header["version"], header["world"], json.loads(header["accuracy"]))


def _built(header: Mapping[str, str]) -> Recogniser:
    return Recogniser(RecogniserConfig.model_validate_json(header["config"]))
