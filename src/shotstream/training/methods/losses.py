"""The stages' losses as pure functions, each with its equation.

Axes: B batch · F latent frames · C channels · h, w latent cells; timesteps are [B] or [B, F], 0..1000.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from shotstream.core.flow import flow_target, x0_from_flow

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
