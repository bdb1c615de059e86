"""The stages' losses as pure functions, each with its equation, and the causal student's passes over a whole shot.

Visibility in these passes is as in the caches.

Axes: B batch · K condition frames · F latent frames of the new shot · C channels · h, w cells · L caption tokens
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from shotstream.core.flow import add_noise, flow_target, x0_from_flow
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import block_causal, clean_and_noisy
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.prompts import Branches
from shotstream.sampling.teacher import CaptionChange, captions_read
from shotstream.training.data.next_shot_batches import NextShotBatch

Latents = Annotated[Tensor, "B F C h w"]

SMALLEST = 1e-6  # of a normaliser: a perfect prediction must not divide by zero


def flow_loss(
    flow: Latents,
    x0: Latents,
    noise: Latents,
    weights: Tensor | None = None,
    where: Tensor | None = None,
) -> Tensor:
    """Flow matching (arXiv 2210.02747, eq. 14): mean of w (v - (n - x0))^2.

    w is ``weights`` [B], None is 1, times ``where``, whose shape broadcasts to the latents', None is 1.
    """
    error = (flow - flow_target(x0, noise)).square()
    if where is not None:
        error = where.to(error) * error
    if weights is None:
        return error.mean()
    return (weights.to(error.device) * error.flatten(1).mean(1)).mean()


def regression_loss(noisy: Latents, flow: Latents, x0: Latents, timesteps: Annotated[Tensor, "B F"]) -> Tensor:
    """Causal initialisation (arXiv 2412.07772, eq. 4): mean of (x_t - s v - x0)^2 over positions with t > 0.

    noisy, flow, x0: [B, F, C, h, w]. timesteps: [B, F]. Zero where every position is clean.
    """
    predicted = x0_from_flow(noisy, flow, timesteps)
    noisy_frames = (timesteps > 0).to(x0.device)
    error = (predicted - x0).square().flatten(2).mean(2)
    return (error * noisy_frames).sum() / noisy_frames.sum().clamp(min=1)


def dmd_gradient(
    x0: Annotated[Tensor, "..."], x0_real: Annotated[Tensor, "..."], x0_fake: Annotated[Tensor, "..."]
) -> Annotated[Tensor, "..."]:
    """Distribution matching (arXiv 2405.14867, eq. 2; normaliser of 2311.18828, eq. 8), per sample:

    (x0_fake - x0_real) / mean |x0 - x0_real|. All [B, F, C, h, w]; no gradient flows through it.
    """
    with torch.no_grad():
        size = (x0 - x0_real).abs().flatten(1).mean(1).clamp(min=SMALLEST)
        return (x0_fake - x0_real) / size.reshape(-1, *(1,) * (x0.dim() - 1))


def dmd_loss(x0: Annotated[Tensor, "..."], gradient: Annotated[Tensor, "..."]) -> Tensor:
    """0.5 mse(x0, stop(x0 - g)): a loss whose derivative by x0 is g / numel."""
    return 0.5 * (x0 - (x0 - gradient).detach()).square().mean()


Times = Literal["logit-normal", "steps"]


def block_causal_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    latents: Tensor,
    timesteps: Tensor,
    block_frames: int,
) -> Tensor:
    """Flow [B, F, C, h, w] of [condition frames at timestep 0 | ``latents`` at ``timesteps`` [B, F]].

    A block sees condition frames and every earlier block of the input as it is, noisy or clean (CausVid,
    arXiv 2412.07772). caption: the shot's own, [B, L, D].
    """
    count, frames = latents.shape[:2]
    kept = context.frames
    return model(
        torch.cat([context.latents, latents], dim=1),
        torch.cat([torch.zeros(count, kept), timesteps], dim=1),
        torch.cat([context.captions, caption[:, None]], dim=1),
        caption_index=context.caption_index,
        shot_index=torch.cat([context.shot_index.expand(count, -1), context.next_shot.expand(count, frames)], dim=1),
        layout=block_causal(kept, frames, block_frames),
    )[:, kept:]


def teacher_forced_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    clean: Tensor,
    noisy: Tensor,
    timesteps: Tensor,
    block_frames: int,
    change: CaptionChange | None = None,
) -> Tensor:
    """Flow [B, F, C, h, w] of ``noisy`` in [condition frames | every block clean | every block noisy].

    A noisy block sees condition frames, the ``clean`` blocks before it, and itself: what the caches hold when
    streaming. timesteps: [B, F], of the noisy blocks. caption: the shot's own, [B, L, D]. change: a caption that
    takes over in mid-shot; clean frames before it have read the first one.
    """
    count, frames = noisy.shape[:2]
    kept = context.frames
    shot = torch.arange(kept, kept + frames)
    captions, reads = captions_read(context, caption, frames, change)
    return model(
        torch.cat([context.latents, clean, noisy], dim=1),
        torch.cat([torch.zeros(count, kept + frames), timesteps], dim=1),
        captions,
        caption_index=torch.cat([reads, reads[:, kept:]], dim=1),
        positions=torch.cat([torch.arange(kept), shot, shot]),
        shot_index=torch.cat(
            [context.shot_index.expand(count, -1), context.next_shot.expand(count, 2 * frames)], dim=1
        ),
        layout=clean_and_noisy(kept, frames, block_frames),
    )[:, kept + frames :]


def few_step_times(preset: Preset, count: int, frames: int, generator: torch.Generator) -> Tensor:
    """[count, frames] timesteps: for every block one of those the preset's few-step student is asked at."""
    few = torch.tensor(preset.schedule.few_step(preset.student.timesteps), dtype=torch.float32)
    block = preset.geometry.block_frames
    drawn = torch.randint(len(few), (count, frames // block), generator=generator)
    return few[drawn].repeat_interleave(block, dim=1)


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
) -> tuple[Tensor, Latents]:
    """Flow matching in which every block draws its own timestep and sees clean history; and the x0 predicted.

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
    flow = teacher_forced_flow(model, batch.context, batch.caption, clean, noisy, timesteps, block, batch.change)
    loss = flow_loss(flow, batch.target, noise, where=batch.where)
    return loss, x0_from_flow(noisy, flow, timesteps)


def guided_flow(
    model: Transformer,
    batch: NextShotBatch,
    clean: Tensor,
    noisy: Tensor,
    timesteps: Tensor,
    block: int,
    branches: Branches,
) -> Tensor:
    """What guidance makes of both branches; the one without captions sees the condition frames, too."""
    context = branches.context(batch.context)
    caption = branches.captions(batch.caption[:, None])[:, 0]
    change = None if batch.change is None else batch.change.branches(branches)
    clean, noisy, timesteps = (branches.latents(tensor) for tensor in (clean, noisy, timesteps))
    return branches.guided(teacher_forced_flow(model, context, caption, clean, noisy, timesteps, block, change))
