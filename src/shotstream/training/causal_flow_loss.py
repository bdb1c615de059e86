"""Block-causal flow matching on true clips, shared by the causal stages.

Axes: B batch · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from shotstream.core.flow import add_noise
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.training.causal_passes import teacher_forced_flow
from shotstream.training.losses import flow_loss
from shotstream.training.next_shot_batches import NextShotBatch

Times = Literal["logit-normal", "steps"]


def few_step_times(preset: Preset, count: int, frames: int, generator: torch.Generator) -> Tensor:
    """[count, frames] timesteps: for every block one of those the preset's few-step student is asked at."""
    listed = torch.tensor(preset.schedule.few_step(preset.student.listed), dtype=torch.float32)
    block = preset.geometry.block_frames
    drawn = torch.randint(len(listed), (count, frames // block), generator=generator)
    return listed[drawn].repeat_interleave(block, dim=1)


def noisy_history(clean: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """``clean`` [B, F, C, h, w] with noise of up to ``most`` on each sample, as streaming will have made it."""
    level = most * torch.rand(len(clean), 1, 1, 1, 1, generator=generator).to(clean)
    return clean + level * torch.randn(clean.shape, generator=generator).to(clean)


def causal_flow_loss(
    model: Transformer,
    preset: Preset,
    batch: NextShotBatch,
    history_noise: float,
    generator: torch.Generator,
    times: Times = "logit-normal",
) -> Tensor:
    """Flow matching in which every block draws its own timestep and sees clean history.

    history_noise: the largest noise on the clean blocks, which streaming will have made itself. times: "steps" are
    those of the preset's few-step student, which is asked at no others.
    """
    count, frames = batch.target.shape[:2]
    block = preset.geometry.block_frames
    if times == "steps":
        timesteps = few_step_times(preset, count, frames, generator)
    else:
        drawn = preset.schedule.draw_logit_normal(count * (frames // block), generator)
        timesteps = drawn.unflatten(0, (count, -1)).repeat_interleave(block, dim=1)
    noise = torch.randn(batch.target.shape, generator=generator).to(batch.target)
    clean = noisy_history(batch.target, history_noise, generator)
    noisy = add_noise(batch.target, noise, timesteps)
    flow = teacher_forced_flow(model, batch.context, batch.caption, clean, noisy, timesteps, block)
    return flow_loss(flow, batch.target, noise, where=batch.where)
