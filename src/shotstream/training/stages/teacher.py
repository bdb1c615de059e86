"""Stage 1: the bidirectional next-shot teacher, by flow matching (arXiv 2603.25746, section 3.1).

The network sees condition frames of earlier shots at timestep 0 and the new shot with noise on it, and predicts
the flow of the new shot alone. The first updates, and a share of the others, may learn from single latent frames
without history, or behind single latent frames of the earlier shots: pictures at a tenth of the cost of films, of
many more stories.

Axes: B batch · F latent frames of the new shot · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from shotstream.core.errors import InputError
from shotstream.core.flow import STEPS, add_noise
from shotstream.core.randomness import derive, stream
from shotstream.models.transformer import Transformer
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.figure_recipe import FigureRecipe
from shotstream.training.losses import flow_loss
from shotstream.training.material import Material, start_from
from shotstream.training.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.next_shot_look import teacher_look
from shotstream.training.picture_chain import chain_loss, draw_chain
from shotstream.training.presets import training_preset
from shotstream.training.release import release_transformers
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names


class TeacherRecipe(FigureRecipe):
    """Recipe of stage 1. Geometry, network and noise schedule are the preset's."""

    stage: Literal["teacher"] = "teacher"
    seed: int = 1
    samples: NextShotSettings = NextShotSettings()
    optimiser: OptimiserSettings
    loop: LoopSettings
    start: str | None = None  # weights to start from, a file or "bundled"; None starts from nothing
    picture_updates: int = Field(default=0, ge=0)  # first updates, on single latent frames
    picture_share: float = Field(default=0, ge=0, lt=1)  # of the updates behind them that are on pictures all the same
    picture_batch: int = Field(default=96, gt=0)
    memory_share: float = Field(default=0, ge=0, le=1)  # of those that come behind pictures of the earlier shots
    chain_share: float = Field(default=0, ge=0, le=1)  # of these that are whole stories in one pass (picture_chain)
    # "uniform" is the published draw (a uniform index into the shifted table) with the published weight per timestep;
    # "even" the same draw without it: more of what is decided while noise hides all.
    times: Literal["logit-normal", "uniform", "even"] = "logit-normal"
    # Behind other pictures, times are drawn evenly from here up; 0: as for all.
    memory_lowest: float = Field(default=0, ge=0, le=STEPS)
    trained: Literal["all", "self-attention"] = "all"  # self-attention alone: the published fine-tuning

    @model_validator(mode="after")
    def _memories_have_pictures(self) -> TeacherRecipe:
        if self.memory_share and not self.material.picture_stories:
            raise ValueError("memory_share: pictures of whole stories are needed; set material.picture_stories")
        return self


class TeacherStage:
    """One role, ``teacher``."""

    def __init__(self, recipe: TeacherRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self.preset = training_preset(recipe)
        if recipe.chain_share and self.preset.context.captions == "target":
            raise InputError(
                "chain_share: a picture there is remembered by several, whose captions differ; set it to 0"
            )
        torch.manual_seed(derive(recipe.seed, "weights"))
        self._model = Transformer(self.preset.transformer)
        if recipe.start:
            start_from(self._model, recipe.start, "teacher")
        if recipe.trained == "self-attention":
            for name, parameter in self._model.named_parameters():
                parameter.requires_grad_(".self_attn." in name)
        self.roles = {"teacher": Role(self._model, recipe.optimiser)}
        self.loop = recipe.loop
        self._material = Material(recipe.material, self.preset.geometry, store, progress)
        figures = self._material.figures(recipe.figure_weight)
        pictures = self._material.pictures
        self._sampler = NextShotSampler(self._material.train, self.preset, recipe.samples, pictures, figures)

    def turn(self, update: int) -> str:
        return "teacher"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        draw = random.Random(derive(self.recipe.seed, "batch", *names(update, part)))
        generator = stream(self.recipe.seed, "noise", *names(update, part))
        if update < self.recipe.picture_updates or draw.random() < self.recipe.picture_share:
            if draw.random() < self.recipe.memory_share:
                chained = self.recipe.chain_share and draw.random() < self.recipe.chain_share
                return (self._chain_loss if chained else self._memory_loss)(draw, generator)
            return self._picture_loss(draw, generator)
        return self._shot_loss(self._sampler.batch(draw), generator)

    def _shot_loss(
        self, batch: NextShotBatch, generator: torch.Generator, positions: Tensor | None = None, lowest: float = 0
    ) -> LossReport:
        batch = batch.to(self._model.device)
        timesteps = self._timesteps(len(batch.target), generator, lowest)
        noise = torch.randn(batch.target.shape, generator=generator).to(batch.target)
        noisy = add_noise(batch.target, noise, timesteps)
        when = self.preset.condition_time
        flow = next_shot_flow(self._model, batch.context, batch.caption, noisy, timesteps, when, positions)
        weights = self.preset.schedule.loss_weights(timesteps) if self.recipe.times == "uniform" else None
        return LossReport(flow_loss(flow, batch.target, noise, weights, batch.where), len(noisy))

    def _memory_loss(self, draw: random.Random, generator: torch.Generator) -> LossReport:
        """The same for one latent frame behind one of every earlier shot."""
        batch, positions = self._sampler.remembered_pictures(draw, self.recipe.picture_batch)
        return self._shot_loss(batch, generator, positions, self.recipe.memory_lowest)

    def _chain_loss(self, draw: random.Random, generator: torch.Generator) -> LossReport:
        """The same for every picture of a story but the first, in one pass."""
        assert self._material.pictures is not None  # the recipe asked for them
        recipe, budget = self.recipe, self.preset.geometry.context_frames
        chain = draw_chain(self._material.pictures, draw, recipe.samples, recipe.picture_batch, budget)
        chain = chain.to(self._model.device)
        count, length = chain.pictures.shape[:2]
        timesteps = self._timesteps(count * (length - 1), generator, recipe.memory_lowest).view(count, length - 1)
        return LossReport(chain_loss(self._model, chain, timesteps, generator), timesteps.numel())

    def _timesteps(self, count: int, generator: torch.Generator, lowest: float = 0) -> Tensor:
        """[count] training timesteps."""
        schedule = self.preset.schedule
        if self.recipe.times == "logit-normal" and not lowest:
            return schedule.draw_logit_normal(count, generator)
        return schedule.draw_uniform(count, generator, lowest)

    def _picture_loss(self, draw: random.Random, generator: torch.Generator) -> LossReport:
        """Flow matching on single latent frames without memory, placed where a new shot begins."""
        drawn = self._sampler.pictures(draw, self.recipe.picture_batch)
        pictures, captions = (tensor.to(self._model.device) for tensor in drawn)
        timesteps = self._timesteps(len(pictures), generator)
        noise = torch.randn(pictures.shape, generator=generator).to(pictures)
        first = torch.tensor([self.preset.geometry.context_frames])
        flow = self._model(
            add_noise(pictures, noise, timesteps), timesteps, captions, positions=first, shot_index=torch.ones(1)
        )
        return LossReport(flow_loss(flow, pictures, noise), len(pictures))

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return teacher_look(cast(Transformer, averaged["teacher"]), self.preset, self._material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        release_transformers(averaged, ["teacher"], self.preset, self._material.versions, folder)
