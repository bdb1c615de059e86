"""The stage that trains a light decoder for the frozen autoencoder's latents, in fewer operations than its own.

It learns on what it will be given: the student's latents, and true ones. It should show the true frames where these
are known; where the student made something else up, what the autoencoder's own decoder shows. It begins as what it
has in common with that one. (A discriminator beside it, as VQGAN's, made crackle and no shapes: docs/log.md.)

Axes: B batch · F latent frames · T pixel frames · C channels · h, w latent cells · H, W pixels of the crop
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from PIL import Image
from pydantic import Field, field_validator
from torch import Tensor, nn

from shotstream.codecs.video_autoencoder import Decoder, VideoAutoencoderConfig, in_channels_last
from shotstream.codecs.weights import load_autoencoder, save_light_decoder
from shotstream.core.randomness import derive
from shotstream.training.decoder_pairs import DENOISED, OWN, TRUE, DecoderPairs, Pair, build_pairs
from shotstream.training.latent_store import LatentStore
from shotstream.training.light_decoder_report import compare
from shotstream.training.material import Material, MaterialSettings, find_weights, sources
from shotstream.training.presets import PresetRecipe, training_preset
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names
from shotstream.training.stages.autoencoder import character_weights, picture_loss
from shotstream.training.story_sources import WorldStories


class LightDecoderRecipe(PresetRecipe):
    """Recipe of this stage. Crops are in latent cells; shares are of the samples."""

    stage: Literal["light-decoder"] = "light-decoder"
    seed: int = 1
    material: MaterialSettings
    student: str  # whose latents are decoded: a weight file, or "bundled"
    widths: tuple[int, int, int] = (32, 160, 256)  # as ``VideoAutoencoderConfig.decoder_widths``
    depths: tuple[int, int, int] = (1, 1, 2)
    head_width: int = Field(default=96, gt=0)
    blocks: int = Field(default=2, gt=0)  # of a shot
    batch: int = Field(default=6, gt=0)
    crop: tuple[int, int] = (6, 8)  # height, width, cells
    centred_share: float = Field(default=0.6, ge=0, le=1)  # crops that hold a character's middle
    shares: tuple[float, float, float] = (0.3, 0.3, 0.4)  # own, denoised, true latents
    character_weight: float = Field(default=3.0, ge=1)
    optimiser: OptimiserSettings
    loop: LoopSettings

    @field_validator("material")
    @classmethod
    def _of_the_world(cls, material: MaterialSettings) -> MaterialSettings:
        if material.clips is not None:
            raise ValueError("clips: this stage draws its true frames anew, which only the world can; leave clips out")
        return material


class _Batch(NamedTuple):
    latents: Tensor  # [B, F, C, h, w] of the crop
    video: Tensor  # [B, T, 3, H, W] in [-1, 1], the true frames
    weight: Tensor  # [B, T, 1, H, W]
    known: Tensor  # [B], are the true frames what the latents stand for?


class LightDecoderStage:
    """One role, ``decoder``."""

    def __init__(self, recipe: LightDecoderRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = training_preset(recipe)
        autoencoder = load_autoencoder(find_weights(recipe.material.autoencoder, "autoencoder"))
        self._full = in_channels_last(autoencoder.decoder).requires_grad_(False)
        self.config = light_config(autoencoder.config, recipe)
        torch.manual_seed(derive(recipe.seed, "weights"))
        self._decoder = in_channels_last(Decoder(self.config))
        begin_as(self._decoder, self._full)
        self.roles = {"decoder": Role(self._decoder, recipe.optimiser)}
        self.loop = recipe.loop
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        (train, _), (held_out, _) = sources(recipe.material, self.preset.geometry)
        self._pairs = self._open(store / "pairs-train", self._material.train, cast(WorldStories, train), progress)
        self._held_out = self._open(
            store / "pairs-held-out", self._material.held_out, cast(WorldStories, held_out), progress
        )

    def _open(
        self, folder: Path, store: LatentStore, source: WorldStories, progress: Callable[[int, int], None]
    ) -> DecoderPairs:
        return build_pairs(
            folder,
            store,
            source,
            self.preset,
            find_weights(self.recipe.student, "student"),
            blocks=self.recipe.blocks,
            made_with="+".join([str(store.stories), *self._material.versions.values()]),
            progress=progress,
        )

    def turn(self, update: int) -> str:
        return "decoder"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        batch = self._batch(random.Random(derive(self.recipe.seed, "batch", *names(update, part))))
        wanted = batch.video
        if not batch.known.all():
            with torch.no_grad():
                shown, _ = self._full(batch.latents[~batch.known])
            wanted[~batch.known] = shown.float().clamp(-1, 1)
        decoded, _ = self._decoder(batch.latents)
        return LossReport(picture_loss(decoded.float(), wanted, batch.weight), len(wanted))

    def _batch(self, draw: random.Random) -> _Batch:
        crops = [self._crop(draw) for _ in range(self.recipe.batch)]
        latents, video, weight, known = (torch.stack(tensors) for tensors in zip(*crops, strict=True))
        return _Batch(latents, video, weight, known)

    def _crop(self, draw: random.Random) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of one sample what :class:`_Batch` holds of all."""
        pair = self._pairs[draw.randrange(len(self._pairs))]
        version = draw.choices((OWN, DENOISED, TRUE), self.recipe.shares)[0]
        spatial = self.preset.geometry.spatial
        (height, width), (top, left) = self.recipe.crop, self._corner(draw, pair)
        latents = pair.latents[version, :, :, top : top + height, left : left + width]
        rows = slice(top * spatial, (top + height) * spatial)
        columns = slice(left * spatial, (left + width) * spatial)
        video = pair.frames[:, rows, columns].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        weight = self._weights(pair)[:, None, rows, columns]
        return latents, video, weight, torch.tensor(version != OWN)

    def _weights(self, pair: Pair) -> Tensor:
        """[T, H, W] of the whole frames."""
        _, height, width, _ = pair.frames.shape
        boxes = pair.boxes.numpy() * [width, height, width, height]
        return torch.from_numpy(character_weights(boxes, (height, width), self.recipe.character_weight))

    def _corner(self, draw: random.Random, pair: Pair) -> tuple[int, int]:
        """Top and left of a crop, in cells."""
        sizes, crop = pair.latents.shape[-2:], self.recipe.crop
        free = [size - wanted for size, wanted in zip(sizes, crop, strict=True)]
        seen = [box for box in pair.boxes[0].tolist() if box[2] > box[0]]
        if not seen or draw.random() >= self.recipe.centred_share:
            return draw.randint(0, free[0]), draw.randint(0, free[1])
        left, top, right, bottom = draw.choice(seen)
        middles = ((top + bottom) / 2, (left + right) / 2)
        corners = [
            min(max(round(middle * size - wanted / 2 + draw.gauss(0, 1)), 0), most)
            for middle, size, wanted, most in zip(middles, sizes, crop, free, strict=True)
        ]
        return corners[0], corners[1]

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return compare(cast(Decoder, averaged["decoder"]), self._full, self._held_out)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        save_light_decoder(
            cast(Decoder, averaged["decoder"]),
            self.config,
            self._material.versions["autoencoder"],
            folder / "light_decoder.safetensors",
        )


def light_config(config: VideoAutoencoderConfig, recipe: LightDecoderRecipe) -> VideoAutoencoderConfig:
    """``config`` with the light decoder's sizes."""
    sizes = {"decoder_widths": recipe.widths, "decoder_depths": recipe.depths, "head_width": recipe.head_width}
    return config.model_copy(update=sizes)


@torch.no_grad()
def begin_as(decoder: Decoder, full: Decoder) -> None:
    """Copy into ``decoder`` every tensor of ``full`` that has the same name and shape there."""
    given = full.state_dict()
    for name, tensor in decoder.state_dict().items():
        if name in given and given[name].shape == tensor.shape:
            tensor.copy_(given[name])
