"""What a run looks at: the next shot of held-out stories, made from true history, above the true one.

Axes: F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shotstream.core.flow import STEPS, add_noise, x0_from_flow
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames, to_pictures
from shotstream.sampling.noise import NamedNoise
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import next_shot_flow, sample_shot, teacher_shot
from shotstream.training.latent_store import LatentStore
from shotstream.training.losses import flow_loss
from shotstream.training.material import Material
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings

STORIES = 6
LOSS_SHOTS = 48

Look = tuple[Image.Image, Mapping[str, float]]
Make = Callable[[ContextFrames, Tensor, int], Tensor]


def teacher_look(model: Transformer, preset: Preset, material: Material) -> Look:
    """Whole shots by the bidirectional model."""
    geometry = preset.geometry
    frames = geometry.default_blocks * geometry.block_frames
    solve = sampler(preset.teacher, preset.schedule)

    def make(context: ContextFrames, caption: Tensor, story: int) -> Tensor:
        shot = teacher_shot(
            model,
            context,
            caption,
            frames=frames,
            guidance=preset.teacher.guidance,
            condition_time=preset.condition_time,
        )
        shape = (frames, *geometry.latent_shape)
        return sample_shot(shot, solve, NamedNoise(story, shot=1), shape, model.device)

    image, figures = _compare(make, preset, material, model.device)
    losses = {
        "train_loss": shot_loss(model, preset, material.train),
        "held_out_loss": shot_loss(model, preset, material.held_out),
    }
    own, foreign = memory_errors(model, preset, material.held_out)
    return image, {**figures, **losses, "own_memory_error": own, "foreign_memory_error": foreign}


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

    Where noise hides everything, captions and memory are all there is to go by: what lies between the two figures is
    what the network remembers.
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

    def make(context: ContextFrames, caption: Tensor, story: int) -> Tensor:
        shot = StreamingShot(
            model,
            context,
            max_frames=geometry.max_blocks * geometry.block_frames,
            guidance=preset.student.guidance,
            refresh=preset.student.refresh,
        )
        shot.read(caption)
        blocks = rollout(
            shot,
            solve,
            NamedNoise(story, shot=1),
            blocks=geometry.default_blocks,
            block_shape=(geometry.block_frames, *geometry.latent_shape),
            device=model.device,
        )
        return torch.cat(list(blocks), dim=1)

    return _compare(make, preset, material, model.device)


def _compare(make: Make, preset: Preset, material: Material, device: torch.device) -> Look:
    """Rows of (true, made) frames, and the error in latent units."""
    geometry = preset.geometry
    length = geometry.default_blocks * geometry.block_frames
    pick = NextShotSampler(material.held_out, preset, NextShotSettings())
    rows: list[np.ndarray] = []
    errors: list[float] = []
    for story in range(material.held_out.stories):
        shot = material.held_out.shots(story) - 1
        if material.held_out.frames(story, shot) < length or len(rows) == STORIES:
            continue
        batch = pick.of(story, shot, length).to(device)
        made = make(batch.context, batch.caption, story)
        errors.append(float((made - batch.target).square().mean()))
        last = geometry.pixel_frames(length) - 1
        shown = [0, last // 2, last]
        pictures = [to_pictures(material.codec.decode(latents.cpu())[0])[shown] for latents in (batch.target, made)]
        rows.append(np.concatenate([*pictures[0], *pictures[1]], axis=1))
    return Image.fromarray(np.concatenate(rows)), {"latent_error": sum(errors) / len(errors)}
