"""The stage that trains the embedded preset's video autoencoder, before everything else; then it is frozen.

Loss: squared and absolute error, heavier on characters, plus the error of the picture's gradients. The decoder
sees latents with noise on them, so that it forgives a denoiser's small errors and the latent space stays smooth;
part of the time it decodes latents shrunk to half size and must give the shrunk picture (EQ-VAE, Kouzelis 2025),
which keeps the latents picture-like and easy to denoise. A share of the clips is cut to its first frame: all
memory passes through that mode. Part of the samples lose their last channels, so that the first ones stand alone and
a smaller code can be cut out of a larger one. And who is where must be readable off every cell by a small network,
which is dropped afterwards: what a character is counts for more than its share of the pixels.

Axes: B batch · T pixel frames · F latent frames · C channels · H, W pixels of the crop · h, w its latent cells
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from shotstream.checkpoints.codec_weights import load_autoencoder, save_autoencoder
from shotstream.codecs.video_autoencoder import VideoAutoencoder, VideoAutoencoderConfig, in_channels_last
from shotstream.core.devices import mixed_precision
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive, stream
from shotstream.data.clips import PARTS, Clips, open_clips
from shotstream.data.world.spec import COLOURS, KINDS
from shotstream.data.world.stories import Split
from shotstream.sampling.context import to_frames, to_pixels
from shotstream.training.data.material import find_weights
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role, names
from shotstream.training.recipes import Networks, Report, TrainedRecipe, register

SHOWN = 6  # clips in the picture


def measure(
    module: VideoAutoencoder, clips: Clips, *, limit: int = 64, channels: int | None = None
) -> dict[str, float]:
    """PSNR in dB over the first ``limit`` clips: ``psnr`` (all frames), ``psnr_characters`` (inside their boxes,
    moving frames alone), ``psnr_still`` (first frames coded alone). channels: with so many of the latents' alone."""
    overall, still, inside, area = 0.0, 0.0, 0.0, 0
    count = min(limit, len(clips))
    for index in range(count):
        truth = np.asarray(clips.frames[index])
        error = np.square(roundtrip(module, truth, channels).astype(np.float32) - truth)
        overall += float(error.mean())
        still += float(np.square(roundtrip(module, truth[:1], channels).astype(np.float32) - truth[:1]).mean())
        for picture, boxes in zip(error[1:], clips.boxes[index, 1:], strict=True):
            for left, top, right, bottom in boxes * np.tile([truth.shape[2], truth.shape[1]], 2):
                crop = picture[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
                inside, area = inside + float(crop.sum()), area + crop.size
    return {
        "psnr": _decibels(overall / count),
        "psnr_still": _decibels(still / count),
        "psnr_characters": _decibels(inside / max(area, 1)),
    }


def roundtrip(module: VideoAutoencoder, frames: np.ndarray, channels: int | None = None) -> np.ndarray:
    """uint8 [T, H, W, 3] through encoder and decoder, which gets the first ``channels`` of the latents, or all."""
    video = to_pixels(frames.copy())[None]  # a memory map cannot be written to
    with torch.no_grad(), mixed_precision("auto", torch.device("cpu")):
        latents = module.encode_groups(video)
        if channels is not None:
            latents[:, :, channels:] = 0
        decoded, _ = module.decode_groups(latents)
    return to_frames(decoded[0])


def side_by_side(module: VideoAutoencoder, clips: Clips) -> Image.Image:
    """Truth above reconstruction: first and last frame of some clips."""
    rows = []
    for index in range(min(SHOWN, len(clips))):
        truth = np.asarray(clips.frames[index])
        again = roundtrip(module, truth)
        rows.append(np.concatenate([truth[0], again[0], truth[-1], again[-1]], axis=1))
    return Image.fromarray(np.concatenate(rows))


def _decibels(squared_error: float) -> float:
    return 10 * math.log10(255**2 / max(squared_error, 1e-9))


_READER_WIDTH = 128
_ANSWERS = [len(PARTS), len(KINDS), len(COLOURS)]
# What grows with the latents' channels.
_GROWING = {
    "encoder.out.weight",
    "encoder.out.bias",
    "normalise.running_mean",
    "normalise.running_var",
    "decoder.enter.weight",
}


@register
class AutoencoderRecipe(TrainedRecipe):
    """Recipe of this stage. Crops are multiples of a latent cell, and lie on the grid of the cells."""

    stage: Literal["autoencoder"] = "autoencoder"
    cpu_only: ClassVar[bool] = True
    geometry: Geometry
    autoencoder: VideoAutoencoderConfig = VideoAutoencoderConfig()
    optimiser: OptimiserSettings
    start: str | None = None  # weights to start from, a file or "bundled"; None starts from nothing
    alone_share: float = Field(default=0.5, ge=0, le=1)  # of the samples: those with the alone channels alone
    cell_weight: float = Field(default=0.02, ge=0)  # of reading part, kind and colour off the latents' cells
    clips: int = Field(default=8000, gt=0)
    held_out_clips: int = Field(default=64, gt=0)
    clip_frames: int = Field(default=9, gt=0)
    batch: int = Field(default=8, gt=0)
    crop: tuple[int, int] = (96, 128)  # height, width, pixels
    still_share: float = Field(default=0.3, ge=0, le=1)  # updates on single frames
    shrink_share: float = Field(default=0.2, ge=0, le=1)  # updates that also decode shrunk latents
    centred_share: float = Field(default=0.6, ge=0, le=1)  # crops centred on a character
    character_weight: float = Field(default=3.0, ge=1)
    latent_noise: float = Field(default=0.15, ge=0)

    @model_validator(mode="after")
    def _crops_are_whole_cells(self) -> AutoencoderRecipe:
        for name, side in zip(("height", "width"), self.crop, strict=True):
            if side % self.geometry.spatial or side > getattr(self.geometry, name):
                raise ValueError(
                    f"crop: {name} {side} is no multiple of a cell of {self.geometry.spatial} pixels within the picture"
                )
        return self

    def networks(self) -> Networks:
        return {"autoencoder": (Learner(self.autoencoder), self.optimiser)}

    def build(self, store: Path, progress: Report) -> AutoencoderStage:
        return AutoencoderStage(self, store, progress)


class Learner(nn.Module):
    """The autoencoder, and what reads its cells while it learns."""

    def __init__(self, config: VideoAutoencoderConfig) -> None:
        super().__init__()
        self.autoencoder = VideoAutoencoder(config)
        self.cell_embedding = nn.Conv2d(config.latent_channels, _READER_WIDTH, 1)
        self.cell_heads = nn.Conv2d(_READER_WIDTH, sum(_ANSWERS), 1)

    def read(self, latents: Tensor) -> Tensor:
        """Latents [B, F, C, h, w] -> logits [B F, answers, h, w], those of part, kind and colour in a row."""
        read: Tensor = self.cell_heads(functional.silu(self.cell_embedding(latents.flatten(0, 1))))
        return read


class AutoencoderStage:
    """One role, ``autoencoder``."""

    def __init__(self, recipe: AutoencoderRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        torch.manual_seed(derive(recipe.seed, "weights"))
        learner = in_channels_last(Learner(recipe.autoencoder))
        self._learner, self._module = learner, learner.autoencoder
        if recipe.start:
            self._start_from(find_weights(recipe.start, "autoencoder"))
        self.roles = {"autoencoder": Role(learner, recipe.optimiser)}
        self.loop = recipe.loop
        self._clips = self._open(store, recipe.clips, "train", progress)
        self._held_out = self._open(store, recipe.held_out_clips, "held-out", progress)

    def _start_from(self, path: Path) -> None:
        """Copy the weights of ``path``: of the recipe's own sizes, or with fewer latent channels or layers."""
        loaded = load_autoencoder(path).state_dict()
        own = self._module.state_dict()
        for name, value in loaded.items():
            room = own.get(name)
            if room is None or not (value.shape == room.shape or (name in _GROWING and _fits(value, room))):
                raise WeightsError(f"{path}: is an autoencoder of other sizes than the recipe's; name another start")
            if value.shape == room.shape:
                room.copy_(value)
                continue
            if name == "decoder.enter.weight":
                room.zero_()  # what the new channels say is not listened to yet
            room[tuple(slice(size) for size in value.shape)].copy_(value)

    def _open(self, store: Path, count: int, split: Split, progress: Callable[[int, int], None]) -> Clips:
        recipe = self.recipe
        return open_clips(
            store / f"clips-{split}",
            count=count,
            length=recipe.clip_frames,
            seed=recipe.seed,
            split=split,
            geometry=recipe.geometry,
            progress=progress,
        )

    def learner(self, update: int) -> str:
        return "autoencoder"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        draw = np.random.default_rng(derive(recipe.seed, "batch", *names(update, part)))
        still = draw.random() < recipe.still_share
        frames = 1 if still else recipe.clip_frames
        count = recipe.batch * 3 if still else recipe.batch
        video, weight, cells = self._batch(draw, count, frames)
        noise = stream(recipe.seed, "latent noise", *names(update, part))
        own = self._module.encode_groups(video)
        level = recipe.latent_noise * torch.rand(len(video), 1, 1, 1, 1, generator=noise)
        latents = self._thinned(own + level * torch.randn(own.shape, generator=noise), noise)
        decoded, _ = self._module.decode_groups(latents)
        loss = picture_loss(decoded.float(), video, weight)
        metrics = {"psnr": float(-10 * torch.log10((decoded.float() - video).square().mean().detach() / 4))}
        if recipe.cell_weight:
            read = cell_loss(self._learner.read(latents).float(), cells)
            loss = loss + recipe.cell_weight * read
            metrics["cells"] = float(read.detach())
        if draw.random() < recipe.shrink_share:
            small, _ = self._module.decode_groups(_half(latents))
            loss = loss + 0.5 * picture_loss(small.float(), _half(video), _half(weight))
        return LossReport(loss, count, metrics)

    def _thinned(self, latents: Tensor, noise: torch.Generator) -> Tensor:
        """A share of the samples [B, F, C, h, w] without their last channels."""
        alone = self.recipe.autoencoder.alone_channels
        if alone is None:
            return latents
        kept = torch.ones(len(latents), 1, latents.shape[2], 1, 1)
        kept[torch.rand(len(latents), generator=noise) < self.recipe.alone_share, :, alone:] = 0
        return latents * kept

    def _batch(self, draw: np.random.Generator, count: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Crops of clips [B, T, 3, H, W] in [-1, 1], their weights [B, T, 1, H, W], their cells [B, F, 3, h, w]."""
        crops, weights, cells = [], [], []
        for index in draw.integers(len(self._clips), size=count):
            first = int(draw.integers(self.recipe.clip_frames - frames + 1))
            crop, weight, cell = self._crop(draw, int(index), range(first, first + frames))
            crops.append(crop)
            weights.append(weight)
            cells.append(cell)
        video = torch.from_numpy(np.stack(crops)).permute(0, 1, 4, 2, 3)
        return (
            video.float().div_(127.5).sub_(1),
            torch.from_numpy(np.stack(weights))[:, :, None],
            torch.from_numpy(np.stack(cells)).long(),
        )

    def _crop(
        self, draw: np.random.Generator, index: int, moments: range
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int8]]:
        geometry, (height, width) = self.recipe.geometry, self.recipe.crop
        cell = geometry.spatial
        boxes = np.asarray(self._clips.boxes[index, moments.start : moments.stop]) * (
            [geometry.width, geometry.height, geometry.width, geometry.height]
        )
        top = float(draw.integers(geometry.height - height + 1))
        left = float(draw.integers(geometry.width - width + 1))
        seen = [box for box in boxes[0] if box[2] > box[0]]
        if seen and draw.random() < self.recipe.centred_share:
            box = seen[int(draw.integers(len(seen)))]
            jitter = draw.normal(scale=16, size=2)
            left = np.clip((box[0] + box[2] - width) / 2 + jitter[0], 0, geometry.width - width)
            top = np.clip((box[1] + box[3] - height) / 2 + jitter[1], 0, geometry.height - height)
        row, column = round(top / cell), round(left / cell)
        top, left = cell * row, cell * column
        weight = character_weights(boxes - [left, top, left, top], self.recipe.crop, self.recipe.character_weight)
        frames = self._clips.frames[index, moments.start : moments.stop, top : top + height, left : left + width]
        # A group of frames is told by its last but one: its middle, rounded towards where it moves.
        told = [moments.start + max(0, geometry.temporal * group - 1) for group in range(_groups(moments, geometry))]
        cells = self._clips.cells[index, told, :, row : row + height // cell, column : column + width // cell]
        return np.asarray(frames), weight, np.asarray(cells)

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        module = cast(Learner, averaged["autoencoder"]).autoencoder
        metrics = measure(module, self._held_out)
        if self.recipe.autoencoder.alone_channels is not None:
            alone = measure(module, self._held_out, channels=self.recipe.autoencoder.alone_channels)
            metrics |= {f"{name}_alone": value for name, value in alone.items()}
        return side_by_side(module, self._held_out), metrics

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        save_autoencoder(cast(Learner, averaged["autoencoder"]).autoencoder, folder / "autoencoder.safetensors")


def picture_loss(decoded: Tensor, video: Tensor, weight: Tensor) -> Tensor:
    """Weighted squared + absolute error, and the absolute error of the gradients; all of [B, T, 3, H, W]."""
    error = decoded - video
    plain = (weight * (4 * error.square() + 0.5 * error.abs())).mean() / weight.mean()
    across = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return plain + 0.25 * across


def character_weights(boxes: NDArray[np.floating], size: tuple[int, int], inside: float) -> NDArray[np.float32]:
    """[T, H, W]: ``inside`` in characters' boxes [T, R, 4] (left, top, right, bottom, pixels), 1 elsewhere."""
    weight = np.ones((len(boxes), *size), np.float32)
    for moment, pair in enumerate(boxes):
        for x0, y0, x1, y1 in pair:
            rows, columns = slice(max(0, int(y0)), max(0, int(y1) + 1)), slice(max(0, int(x0)), max(0, int(x1) + 1))
            if x1 > x0:
                weight[moment, rows, columns] = inside
    return weight


def cell_loss(logits: Tensor, cells: Tensor) -> Tensor:
    """Cross-entropy of every cell's part, and of kind and colour where somebody is.

    logits [B F, answers, h, w], as :meth:`Learner.read` gives them; cells [B, F, 3, h, w], -1 where nobody is.
    """
    part, kind, colour = logits.split(_ANSWERS, dim=1)
    labels = cells.flatten(0, 1)
    loss = functional.cross_entropy(part, labels[:, 0])
    somebody = labels[:, 1] >= 0
    if somebody.any():
        for answer, label in ((kind, labels[:, 1]), (colour, labels[:, 2])):
            loss = loss + functional.cross_entropy(answer.movedim(1, -1)[somebody], label[somebody])
    return loss


def _groups(moments: range, geometry: Geometry) -> int:
    return 1 + (len(moments) - 1) // geometry.temporal


def _fits(value: Tensor, room: Tensor) -> bool:
    return value.dim() == room.dim() and all(one <= other for one, other in zip(value.shape, room.shape, strict=True))


def _half(maps: Tensor) -> Tensor:
    """Average 2x2 cells of [B, F, C, H, W]."""
    return functional.avg_pool2d(maps.flatten(0, 1), 2).unflatten(0, maps.shape[:2])
