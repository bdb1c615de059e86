"""Stage 1: the bidirectional next-shot teacher, by flow matching (arXiv 2603.25746, section 4.1).

The network sees condition frames of earlier shots at timestep 0 and the new shot with noise on it, and predicts
the flow of the new shot alone. The first updates, and a share of the others, may learn from single latent frames
without history, or behind single latent frames of the earlier shots: pictures at a tenth of the cost of films, of
many more stories.

A teacher can also go on with another autoencoder's latents: its first and last layers are fitted anew. What lies
between knows the world and need not learn it again. Both autoencoders code the same pictures, and the best linear map
between their cells (least squares) is multiplied into the layers that read and write latents.

Axes: B batch · F latent frames of the new shot · N pictures · C channels · M cells of all pictures · h, w latent cells
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from shotstream.checkpoints.transformer_weights import Role as RoleName
from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.codecs.protocols import VideoCodec
from shotstream.core.errors import InputError
from shotstream.core.flow import add_noise
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive, stream
from shotstream.data.world.render import draw_shot
from shotstream.data.world.stories import make_story
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import to_pixels
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.data.material import find_weights, open_video
from shotstream.training.data.next_shot_batches import NextShotBatch
from shotstream.training.engine.stage import LossReport, names
from shotstream.training.methods.losses import flow_loss
from shotstream.training.methods.transformer_stage import CharacterWeightedRecipe, TransformerStage
from shotstream.training.recipes import Networks, Report, register, training_preset

log = logging.getLogger(__name__)


@register
class TeacherRecipe(CharacterWeightedRecipe):
    """Recipe of stage 1. Geometry, network and noise schedule are the preset's."""

    stage: Literal["teacher"] = "teacher"
    role: ClassVar[RoleName] = "teacher"
    start: str | None = None  # weights to start from, a file or "bundled"; None starts from nothing
    start_autoencoder: str | None = None  # whose latents these know, where they are others than the material's
    picture_updates: int = Field(default=0, ge=0)  # first updates, on single latent frames
    picture_share: float = Field(default=0, ge=0, lt=1)  # of the updates behind them that are on pictures all the same
    picture_batch: int = Field(default=96, gt=0)
    seen: float = Field(default=0, ge=0)  # how often a sample is learnt from before others are drawn; 0: always these
    memory_share: float = Field(default=0, ge=0, le=1)  # of those that come behind pictures of the earlier shots
    # "uniform" is the published draw (a uniform index into the shifted table) with the published weight per timestep;
    # "even" the same draw without it: more of what is decided while noise hides all.
    times: Literal["logit-normal", "uniform", "even"] = "logit-normal"
    trained: Literal["all", "self-attention"] = "all"  # self-attention alone: the published fine-tuning

    @model_validator(mode="after")
    def _other_latents_are_of_something(self) -> TeacherRecipe:
        if self.start_autoencoder and not self.start:
            raise ValueError("start_autoencoder: belongs to weights named in start; set start, or leave this out")
        return self

    @model_validator(mode="after")
    def _only_the_world_is_endless(self) -> TeacherRecipe:
        if self.seen and self.material.clips is not None:
            raise ValueError("seen: only the world can be drawn on; with clips, leave it out")
        return self

    @model_validator(mode="after")
    def _memories_have_pictures(self) -> TeacherRecipe:
        if self.memory_share and not self.material.picture_stories:
            raise ValueError("memory_share: pictures of whole stories are needed; set material.picture_stories")
        return self

    def networks(self) -> Networks:
        network = Transformer(training_preset(self).transformer)
        self.freeze(network)
        return {self.role: (network, self.optimiser)}

    def freeze(self, network: Transformer) -> None:
        """Leave to learn what is ``trained``."""
        if self.trained == "self-attention":
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(".self_attn." in name)

    def build(self, store: Path, progress: Report) -> TeacherStage:
        return TeacherStage(self, store, progress)


class TeacherStage(TransformerStage):
    """One role, ``teacher``."""

    def __init__(self, recipe: TeacherRecipe, store: Path, progress: Report) -> None:
        self.recipe = recipe
        torch.manual_seed(derive(recipe.seed, "weights"))
        preset, start, weight = training_preset(recipe), recipe.start, recipe.character_weight
        known = None if recipe.start_autoencoder else start
        super().__init__(recipe, preset, store, progress, start=known, character_weight=weight, changes=True)
        if start and recipe.start_autoencoder:
            told = start_on_other_latents(self.model, start, recipe.start_autoencoder, self.material.codec)
            log.info("%s: %.0f%% of its latents can be read off the new ones", start, 100 * told)
        recipe.freeze(self.model)

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        if self.recipe.seen:
            self._draw_on(update)
        draw = random.Random(derive(self.recipe.seed, "batch", *names(update, part)))
        generator = stream(self.recipe.seed, "noise", *names(update, part))
        if update < self.recipe.picture_updates or draw.random() < self.recipe.picture_share:
            if draw.random() < self.recipe.memory_share:
                batch, positions = self.sampler.context_pictures(draw, self.recipe.picture_batch)
                return self._shot_loss(batch, generator, positions)
            return self._picture_loss(draw, generator)
        return self._shot_loss(self.sampler.batch(draw), generator)

    def _draw_on(self, update: int) -> None:
        """Show the stories that belong to ``update``: how many samples were learnt from until then is known."""
        recipe = self.recipe
        mixed = max(0, update - recipe.picture_updates)
        parts = recipe.loop.accumulate
        pictures = parts * recipe.picture_batch * (update - mixed + recipe.picture_share * mixed)
        shots = parts * self.sampler.mean_samples * (1 - recipe.picture_share) * mixed
        self.sampler.learnt(shots, pictures, recipe.seen)

    def _shot_loss(
        self, batch: NextShotBatch, generator: torch.Generator, positions: Tensor | None = None
    ) -> LossReport:
        batch = batch.to(self.model.device)
        timesteps = self._timesteps(len(batch.target), generator)
        noise = torch.randn(batch.target.shape, generator=generator).to(batch.target)
        noisy = add_noise(batch.target, noise, timesteps)
        when = self.preset.condition_time
        flow = next_shot_flow(self.model, batch.context, batch.caption, noisy, timesteps, when, positions, batch.change)
        weights = self.preset.schedule.loss_weights(timesteps) if self.recipe.times == "uniform" else None
        return LossReport(flow_loss(flow, batch.target, noise, weights, batch.where), len(noisy))

    def _picture_loss(self, draw: random.Random, generator: torch.Generator) -> LossReport:
        """Flow matching on single latent frames without memory, placed where a new shot begins."""
        drawn = self.sampler.pictures(draw, self.recipe.picture_batch)
        pictures, captions = (tensor.to(self.model.device) for tensor in drawn)
        timesteps = self._timesteps(len(pictures), generator)
        noise = torch.randn(pictures.shape, generator=generator).to(pictures)
        first = torch.tensor([self.preset.geometry.context_frames])
        flow = self.model(
            add_noise(pictures, noise, timesteps), timesteps, captions, positions=first, shot_index=torch.ones(1)
        )
        return LossReport(flow_loss(flow, pictures, noise), len(pictures))

    def _timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        """[count] training timesteps."""
        schedule = self.preset.schedule
        draw = schedule.draw_logit_normal if self.recipe.times == "logit-normal" else schedule.draw_uniform
        return draw(count, generator)


_STORIES = 48  # some two hundred pictures, of 160 cells each


def refit(model: Transformer, known: Transformer, before: VideoCodec, after: VideoCodec, pictures: Tensor) -> float:
    """Give ``model`` the weights of ``known``, which was trained on the latents of ``before``, for those of ``after``.

    pictures: [N, 3, H, W] in [-1, 1], thousands of cells in all. Returns the share of the old latents' variance that
    can be read off the new ones. Raises :class:`InputError` where the networks differ in more than their channels, or
    predict the flow (noise has no counterpart in other latents; a clean prediction has).
    """
    same = {name: getattr(known.config, name) for name in ("in_channels", "caption_padding")}
    if model.config.model_copy(update=same) != known.config:
        raise InputError("start: a network of other sizes cannot be refitted; only its latent channels may differ")
    if model.config.prediction != "x0":
        raise InputError("start_autoencoder: only a network that predicts x0 can be taken over to other latents")
    old, new = _cells(before, pictures), _cells(after, pictures)
    inward, outward = _affine(new, old), _affine(old, new)
    state = known.state_dict()
    read, written = state["patch_embedding.weight"], state["head.head.weight"]
    patch = model.config.patch
    state["patch_embedding.weight"] = torch.einsum("dcxyz,nc->dnxyz", read, inward[:-1])
    state["patch_embedding.bias"] = state["patch_embedding.bias"] + torch.einsum("dcxyz,c->d", read, inward[-1])
    cells = written.unflatten(0, (patch**2, -1))  # a token's cells, and the channels of each
    state["head.head.weight"] = torch.einsum("pcd,cn->pnd", cells, outward[:-1]).flatten(0, 1)
    biases = state["head.head.bias"].unflatten(0, (patch**2, -1))
    state["head.head.bias"] = (biases @ outward[:-1] + outward[-1]).flatten()
    model.load_state_dict(state)
    left = (old - _with_one(new) @ inward).square().sum(0)
    return float(1 - (left / (old - old.mean(0)).square().sum(0)).mean())


def start_on_other_latents(model: Transformer, name: str, autoencoder: str, codec: VideoCodec) -> float:
    """:func:`refit` ``model`` from the weights ``name``, trained on the latents of ``autoencoder``, for ``codec``'s,
    over pictures of the world. Raises :class:`InputError`, :class:`WeightsError`."""
    known, _ = load_transformer(find_weights(name, "teacher"))
    geometry = codec.geometry.model_copy(update={"latent_channels": known.config.in_channels})
    before, _ = open_video(autoencoder, geometry)
    pictures = [frame for number in range(_STORIES) for frame in _pictures_of(number, geometry)]
    pixels = to_pixels(np.stack(pictures))
    return refit(model, known, before, codec, pixels)


def _pictures_of(number: int, geometry: Geometry) -> Iterator[NDArray[np.uint8]]:
    """The middle frame of every shot of a story."""
    story = make_story(derive(0, "refit", number), split="train")
    for shot, spec in enumerate(story.shots):
        middle = geometry.shot_frames(geometry.blocks_for(spec.seconds)) // 2
        yield draw_shot(story, shot, range(middle, middle + 1), geometry)[0]


def _cells(codec: VideoCodec, pictures: Tensor) -> Tensor:
    """[M, C]: every cell of the pictures' latents."""
    coded = [codec.encode_images(part) for part in pictures.split(32)]
    return torch.cat(coded).movedim(1, -1).flatten(0, -2).float()


def _affine(given: Tensor, wanted: Tensor) -> Tensor:
    """[M, A], [M, B] -> [A + 1, B]: the map whose last row is added, with the least squared error."""
    return torch.linalg.lstsq(_with_one(given).double(), wanted.double()).solution.float()


def _with_one(given: Tensor) -> Tensor:
    return torch.cat([given, given.new_ones(len(given), 1)], 1)
