"""The base of the transformer's stages: preset, samples, costs, release; sample images of held-out stories' next shots.

Axes: F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from shotstream.checkpoints.transformer_weights import Role as RoleName
from shotstream.checkpoints.transformer_weights import WeightsHeader, save_transformer
from shotstream.core.errors import InputError
from shotstream.core.flow import STEPS, add_noise, x0_from_flow
from shotstream.families.preset import Preset, write_preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames, to_frames
from shotstream.sampling.rollout import NamedNoise, rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import next_shot_flow, sample_shot, teacher_shot
from shotstream.training.data.latent_store import LatentStore
from shotstream.training.data.material import Material, MaterialSettings, start_from
from shotstream.training.data.next_shot_batches import NextShotSampler, NextShotSettings, check_whole_blocks
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role
from shotstream.training.methods.losses import flow_loss
from shotstream.training.recipes import Cost, Networks, PresetRecipe, Report, TrainedRecipe, pass_flops, training_preset


class TransformerRecipe(PresetRecipe, TrainedRecipe):
    """Recipe of a stage in which one transformer, the ``role``, learns from shots."""

    role: ClassVar[RoleName] = "student"
    material: MaterialSettings
    samples: NextShotSettings = NextShotSettings()
    optimiser: OptimiserSettings

    def networks(self) -> Networks:
        return {self.role: (Transformer(training_preset(self).transformer), self.optimiser)}

    def cost(self) -> Cost:
        return self.cost_of()

    def cost_of(self, *, batch: int | None = None, sequence: int = 1, more_passes: float = 0) -> Cost:
        """The cost of updates of ``batch`` samples (None: the recipe's), each a ``sequence`` of so many times the
        shot's frames, with ``more_passes`` besides those that a gradient takes."""
        preset = training_preset(self)
        frames = self.samples.mean_frames(preset.geometry)
        once = pass_flops(preset, preset.geometry.context_frames, sequence * frames, frames)
        passes = self.loop.learning_passes + more_passes
        return Cost(
            preset=preset,
            batch=self.samples.batch,
            frames=self.samples.longest(preset.geometry),
            flops=self.loop.accumulate * (batch or self.samples.batch) * passes * once,
            times=self.loop.updates,
        )


class CharacterWeightedRecipe(TransformerRecipe):
    """``character_weight``: what a shot's characters count for together in its loss, beside the whole shot as 1."""

    character_weight: float = Field(default=0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _the_world_tells_where_they_are(self) -> Self:
        if self.character_weight and self.material.clips is not None:
            raise ValueError("character_weight: clips do not tell where their characters are; set it to 0")
        return self


class TransformerStage(ABC):
    """One role, the recipe's: everything but its loss."""

    def __init__(
        self,
        recipe: TransformerRecipe,
        preset: Preset,
        store: Path,
        progress: Report,
        *,
        start: str | None,
        starts_as: RoleName = "teacher",
        character_weight: float = 0,
        changes: bool = False,
    ) -> None:
        """preset: how what is left will be sampled. start: a weight file, or "bundled", the packaged weights of the
        role ``starts_as``; None keeps the weights random. A student's samples must be whole blocks. changes: can its
        loss read captions that change within a sample?"""
        self.preset = preset
        self.role = recipe.role
        self.model = Transformer(preset.transformer)
        if start:
            start_from(self.model, start, starts_as)
        self.roles: dict[str, Role] = {self.role: Role(self.model, recipe.optimiser)}
        self.loop = recipe.loop
        block = preset.geometry.block_frames if self.role == "student" else 1
        if self.role == "student":
            check_whole_blocks(recipe.samples.lengths, preset.geometry)
        self.material = Material(recipe.material, preset, store, progress)
        self.sampler = NextShotSampler(
            self.material.train,
            preset,
            recipe.samples,
            self.material.pictures,
            self.material.character_weights(character_weight),
            changes=changes,
            # Students are trained on whole blocks, the teacher on whatever there is.
            multiple=block,
            shortest=block,
        )

    def learner(self, update: int) -> str:
        return self.role

    @abstractmethod
    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        """As :meth:`Stage.loss`."""

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        model = cast(Transformer, averaged[self.role])
        return (teacher_look if self.role == "teacher" else student_look)(model, self.preset, self.material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        release_transformers(averaged, [self.role], self.preset, self.material.versions, folder)


def release_transformers(
    averaged: Mapping[str, nn.Module],
    roles: Iterable[RoleName],
    preset: Preset,
    versions: Mapping[str, str],
    folder: Path,
) -> None:
    """Write ``<role>.safetensors`` of each of ``roles``, in half precision, and preset.json into ``folder``, which is
    a model then.

    versions: of the codecs, by their content.
    """
    for role in roles:
        header = WeightsHeader(role=role, preset=preset.name, config=preset.transformer, versions=dict(versions))
        save_transformer(cast(Transformer, averaged[role]), folder / f"{role}.safetensors", header, dtype=torch.float16)
    write_preset(preset, folder)


STORIES = 6
LOSS_SHOTS = 48

Look = tuple[Image.Image, Mapping[str, float]]
Make = Callable[[ContextFrames, Tensor, int, int], Tensor]  # context, caption, story, latent frames -> latents


def teacher_look(model: Transformer, preset: Preset, material: Material) -> Look:
    """Whole shots by the bidirectional model."""
    solve = sampler(preset.teacher, preset.schedule)

    def make(context: ContextFrames, caption: Tensor, story: int, frames: int) -> Tensor:
        shot = teacher_shot(
            model,
            context,
            caption,
            frames=frames,
            guidance=preset.teacher.guidance,
            condition_time=preset.condition_time,
            unconditional=material.unconditional,
        )
        shape = (frames, *preset.geometry.latent_shape)
        return sample_shot(shot, solve, NamedNoise(story, shot=1), shape, model.device)

    image, metrics = _compare(make, preset, material, model.device)
    losses = {
        "train_loss": shot_loss(model, preset, material.train),
        "held_out_loss": shot_loss(model, preset, material.held_out),
    }
    own, foreign = memory_errors(model, preset, material.held_out)
    return image, {**metrics, **losses, "own_memory_error": own, "foreign_memory_error": foreign}


@torch.no_grad()
def shot_loss(model: Transformer, preset: Preset, store: LatentStore) -> float:
    """The flow's loss on first blocks of ``store``, always the same ones and at the same times.

    Held-out stories far above those trained on: these are known by heart, and more stories help more than more hours.
    """
    geometry = preset.geometry
    one = NextShotSettings(
        batch=1, lengths={geometry.block_frames: 1.0}, context_drop=0, caption_drop=0, context_noise=0
    )
    shots, draw = NextShotSampler(store, preset, one), random.Random(0)
    generator = torch.Generator().manual_seed(0)
    losses = []  # one shot at a time: Wan's are big
    for timestep in preset.schedule.draw_logit_normal(LOSS_SHOTS, generator).split(1):
        batch = shots.batch(draw).to(model.device)
        noise = torch.randn(batch.target.shape, generator=generator).to(batch.target)
        noisy = add_noise(batch.target, noise, timestep)
        flow = next_shot_flow(model, batch.context, batch.caption, noisy, timestep, preset.condition_time)
        losses.append(float(flow_loss(flow, batch.target, noise)))
    return sum(losses) / len(losses)


@torch.no_grad()
def memory_errors(model: Transformer, preset: Preset, store: LatentStore) -> tuple[float, float]:
    """Error of x0 on first blocks of later shots in pure noise, behind their own earlier shots and behind others'.

    Where noise hides everything, captions and context are all there is to go by: what lies between the two metrics is
    what the network takes from its context.
    """
    block = preset.geometry.block_frames
    one = NextShotSettings(
        batch=1, lengths={block: 1.0}, first_share=0, context_drop=0, caption_drop=0, context_noise=0
    )
    shots, draw, generator = NextShotSampler(store, preset, one), random.Random(1), torch.Generator()
    generator.manual_seed(1)
    errors: tuple[list[float], list[float]] = ([], [])
    drawn = (shots.batch(draw).to(model.device) for _ in range(LOSS_SHOTS + 1))  # one shot at a time: Wan's are big
    for other, batch in pairwise(drawn):
        noise = torch.randn(batch.target.shape, generator=generator).to(batch.target)
        for found, memory in zip(errors, (batch.context.latents, other.context.latents), strict=True):
            context = replace(batch.context, latents=memory)
            times = torch.full((1,), float(STEPS))
            flow = next_shot_flow(model, context, batch.caption, noise, times, preset.condition_time)
            found.append(float((x0_from_flow(noise, flow, times) - batch.target).square().mean()))
    own, foreign = (sum(found) / len(found) for found in errors)
    return own, foreign


def student_look(model: Transformer, preset: Preset, material: Material) -> Look:
    """Shots streamed block by block by the causal model."""
    geometry = preset.geometry
    solve = sampler(preset.student, preset.schedule)

    def make(context: ContextFrames, caption: Tensor, story: int, frames: int) -> Tensor:
        shot = StreamingShot(
            model,
            context,
            max_frames=geometry.max_blocks * geometry.block_frames,
            guidance=preset.student.guidance,
            unconditional=material.unconditional,
            refresh=preset.student.refresh,
        )
        shot.read(caption)
        blocks = rollout(
            shot,
            solve,
            NamedNoise(story, shot=1),
            blocks=frames // geometry.block_frames,
            block_shape=(geometry.block_frames, *geometry.latent_shape),
            device=model.device,
        )
        return torch.cat(list(blocks), dim=1)

    return _compare(make, preset, material, model.device)


def _compare(make: Make, preset: Preset, material: Material, device: torch.device) -> Look:
    """Rows of (true, made) frames, and the error in latent units."""
    geometry, block = preset.geometry, preset.geometry.block_frames
    pick = NextShotSampler(material.held_out, preset, NextShotSettings())
    rows: list[np.ndarray] = []
    errors: list[float] = []
    for story, shot, length in _shown(material.held_out, geometry.default_blocks * block, block):
        batch = pick.of(story, shot, length).to(device)
        made = make(batch.context, batch.caption, story, length)
        errors.append(float((made - batch.target).square().mean()))
        last = geometry.pixel_frames(length) - 1
        shown = [0, last // 2, last]
        pictures = [to_frames(material.codec.decode(latents.cpu())[0])[shown] for latents in (batch.target, made)]
        rows.append(np.concatenate([*pictures[0], *pictures[1]], axis=1))
    return Image.fromarray(np.concatenate(rows)), {"latent_error": sum(errors) / len(errors)}


def _shown(store: LatentStore, wanted: int, block: int) -> list[tuple[int, int, int]]:
    """(story, last shot, latent frames) of the first stories whose last shot has the ``wanted`` length; where there
    are none, of those that have a ``block``, cut to whole blocks. Raises :class:`InputError` if none has."""
    last = [(story, store.shots(story) - 1) for story in store.shown]
    long = [(*one, wanted) for one in last if store.frames(*one) >= wanted]
    short = [(*one, length) for one in last if (length := store.frames(*one) // block * block)]
    if not long and not short:
        raise InputError(f"held_out_stories: the last shot of none has {block} latent frames; hold longer ones out")
    return (long or short)[:STORIES]
