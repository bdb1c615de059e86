"""The stage that trains the embedded preset's video autoencoder, before everything else; then it is frozen.

Loss: squared and absolute error, heavier on characters, plus the error of the picture's gradients. The decoder
sees latents with noise on them, so that it forgives a denoiser's small errors and the latent space stays smooth;
part of the time it decodes latents shrunk to half size and must give the shrunk picture (EQ-VAE, Kouzelis 2025),
which keeps the latents picture-like and easy to denoise. A share of the clips is cut to its first frame: all
memory passes through that mode. Told to imitate, it also learns to give another autoencoder's latents, so that a
smaller one can take its place under a transformer that is trained already.

Axes: B batch · T pixel frames · C channels · H, W pixels of the crop
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from shotstream.codecs.video_autoencoder import VideoAutoencoder, VideoAutoencoderConfig, in_channels_last
from shotstream.codecs.weights import load_autoencoder, save_autoencoder
from shotstream.core.config import Config
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive, stream
from shotstream.data.clips import Clips, open_clips
from shotstream.data.world.splits import Split
from shotstream.training.autoencoder_report import measure, side_by_side
from shotstream.training.material import find_weights
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names


class AutoencoderRecipe(Config):
    """Recipe of this stage. Crops are multiples of a token (spatial x patch pixels)."""

    stage: Literal["autoencoder"] = "autoencoder"
    seed: int = 1
    geometry: Geometry
    autoencoder: VideoAutoencoderConfig = VideoAutoencoderConfig()
    optimiser: OptimiserSettings
    loop: LoopSettings
    start: str | None = None  # weights to start from, a file or "bundled"; None starts from nothing
    imitate: str | None = None  # weights whose latents are to be given, a file or "bundled"
    imitate_weight: float = Field(default=1.0, gt=0)  # of their mean squared error, in latents' own variances
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


class AutoencoderStage:
    """One role, ``autoencoder``."""

    def __init__(self, recipe: AutoencoderRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        torch.manual_seed(derive(recipe.seed, "weights"))
        self._module = in_channels_last(VideoAutoencoder(recipe.autoencoder))
        if recipe.start:
            self._start_from(find_weights(recipe.start, "autoencoder"))
        self._imitated = self._open_imitated(recipe.imitate) if recipe.imitate else None
        self.roles = {"autoencoder": Role(self._module, recipe.optimiser)}
        self.loop = recipe.loop
        self._clips = self._open(store, recipe.clips, "train", progress)
        self._held_out = self._open(store, recipe.held_out_clips, "held-out", progress)

    def _start_from(self, path: Path) -> None:
        """Copy the weights of ``path``, which must be of the recipe's own sizes."""
        loaded = load_autoencoder(path)
        if loaded.config != self.recipe.autoencoder:
            raise WeightsError(f"{path}: is an autoencoder of other sizes than the recipe's; name another start")
        self._module.load_state_dict(loaded.state_dict())

    def _open_imitated(self, name: str) -> VideoAutoencoder:
        path = find_weights(name, "autoencoder")
        loaded, ours = load_autoencoder(path), self.recipe.autoencoder
        theirs = loaded.config
        if (theirs.latent_channels, theirs.temporal) != (ours.latent_channels, ours.temporal):
            raise WeightsError(
                f"{path}: has {theirs.latent_channels} channels for {theirs.temporal} frames, the recipe "
                f"{ours.latent_channels} for {ours.temporal}; set autoencoder.latent_channels and temporal as there"
            )
        return in_channels_last(loaded).requires_grad_(False)

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

    def turn(self, update: int) -> str:
        return "autoencoder"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        recipe = self.recipe
        draw = np.random.default_rng(derive(recipe.seed, "batch", *names(update, part)))
        still = draw.random() < recipe.still_share
        frames = 1 if still else recipe.clip_frames
        count = recipe.batch * 3 if still else recipe.batch
        video, weight = self._batch(draw, count, frames)
        noise = stream(recipe.seed, "latent noise", *names(update, part))
        own = self._module.encode_groups(video)
        level = recipe.latent_noise * torch.rand(len(video), 1, 1, 1, 1, generator=noise)
        latents = own + level * torch.randn(own.shape, generator=noise)
        decoded, _ = self._module.decode_groups(latents)
        loss = picture_loss(decoded.float(), video, weight)
        figures = {"psnr": float(-10 * torch.log10((decoded.float() - video).square().mean().detach() / 4))}
        if self._imitated is not None:
            with torch.no_grad():
                wanted = self._imitated.encode_groups(video)
            strayed = (own - wanted).float().square().mean()
            loss = loss + recipe.imitate_weight * strayed
            figures["strayed"] = float(strayed.detach())
        if draw.random() < recipe.shrink_share:
            small, _ = self._module.decode_groups(_half(latents))
            loss = loss + 0.5 * picture_loss(small.float(), _half(video), _half(weight))
        return LossReport(loss, count, figures)

    def _batch(self, draw: np.random.Generator, count: int, frames: int) -> tuple[Tensor, Tensor]:
        """Crops of clips [B, T, 3, H, W] in [-1, 1] and their weights [B, T, 1, H, W]."""
        crops, weights = [], []
        for index in draw.integers(len(self._clips), size=count):
            first = int(draw.integers(self.recipe.clip_frames - frames + 1))
            crop, weight = self._crop(draw, int(index), range(first, first + frames))
            crops.append(crop)
            weights.append(weight)
        video = torch.from_numpy(np.stack(crops)).permute(0, 1, 4, 2, 3)
        return video.float().div_(127.5).sub_(1), torch.from_numpy(np.stack(weights))[:, :, None]

    def _crop(
        self, draw: np.random.Generator, index: int, moments: range
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        geometry, (height, width) = self.recipe.geometry, self.recipe.crop
        boxes = np.asarray(self._clips.boxes[index, moments.start : moments.stop]) * (
            [geometry.width, geometry.height, geometry.width, geometry.height]
        )
        top = int(draw.integers(geometry.height - height + 1))
        left = int(draw.integers(geometry.width - width + 1))
        seen = [box for box in boxes[0] if box[2] > box[0]]
        if seen and draw.random() < self.recipe.centred_share:
            box = seen[int(draw.integers(len(seen)))]
            jitter = draw.normal(scale=16, size=2)
            left = int(np.clip((box[0] + box[2] - width) / 2 + jitter[0], 0, geometry.width - width))
            top = int(np.clip((box[1] + box[3] - height) / 2 + jitter[1], 0, geometry.height - height))
        weight = character_weights(boxes - [left, top, left, top], self.recipe.crop, self.recipe.character_weight)
        frames = self._clips.frames[index, moments.start : moments.stop, top : top + height, left : left + width]
        return np.asarray(frames), weight

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        module = cast(VideoAutoencoder, averaged["autoencoder"])
        return side_by_side(module, self._held_out), measure(module, self._held_out)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        module = cast(VideoAutoencoder, averaged["autoencoder"])
        save_autoencoder(module, folder / "autoencoder.safetensors", self.recipe.optimiser.levels)


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


def _half(maps: Tensor) -> Tensor:
    """Average 2x2 cells of [B, F, C, H, W]."""
    return functional.avg_pool2d(maps.flatten(0, 1), 2).unflatten(0, maps.shape[:2])
