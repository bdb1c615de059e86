"""On Gaussian ground, where every score is known in closed form, the losses lead to the known answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shotstream.core.flow import STEPS, add_noise, x0_from_flow
from shotstream.training.methods.losses import dmd_gradient, dmd_loss, flow_loss, regression_loss

MEAN, SPREAD = 1.5, 0.5  # of the data, one Gaussian number per channel
SHAPE = (1, 1, 1, 1)  # F, C, h, w


def true_x0(noisy: Tensor, sigma: Tensor, mean: float = MEAN, spread: float = SPREAD) -> Tensor:
    """E[x0 | x_t] for x0 ~ N(mean, spread^2) and x_t = (1 - s) x0 + s n: linear in x_t."""
    keep = 1 - sigma
    gain = keep * spread**2 / (keep**2 * spread**2 + sigma**2)
    return mean + gain * (noisy - keep * mean)


class GaussianFlow(nn.Module):
    """The flow of data that is Gaussian with a learned mean and spread: v = (x_t - E[x0 | x_t]) / s."""

    def __init__(self, mean: float, spread: float) -> None:
        super().__init__()
        self.mean, self.spread = nn.Parameter(torch.tensor(mean)), nn.Parameter(torch.tensor(spread))

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        sigma = (timesteps / STEPS).reshape(-1, 1, 1, 1, 1)
        keep = 1 - sigma
        gain = keep * self.spread**2 / (keep**2 * self.spread**2 + sigma**2)
        return (x - self.mean - gain * (x - keep * self.mean)) / sigma


def batch(count: int, generator: torch.Generator, mean: Tensor | float, spread: Tensor | float) -> Tensor:
    return mean + spread * torch.randn(count, *SHAPE, generator=generator)


def drawn(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Timesteps away from the ends, and noise."""
    return 50 + 900 * torch.rand(count, generator=generator), torch.randn(count, *SHAPE, generator=generator)


def test_flow_matching_learns_the_data() -> None:
    generator, flow = torch.Generator().manual_seed(1), GaussianFlow(0.0, 1.0)
    optimiser = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(150):
        x0 = batch(512, generator, MEAN, SPREAD)
        timesteps, noise = drawn(512, generator)
        optimiser.zero_grad()
        flow_loss(flow(add_noise(x0, noise, timesteps), timesteps), x0, noise).backward()
        optimiser.step()
    assert flow.mean.item() == pytest.approx(MEAN, abs=0.05)
    assert flow.spread.item() == pytest.approx(SPREAD, abs=0.05)


def test_dmd_with_a_learned_critic_brings_the_student_to_the_data() -> None:
    """Student x = m + d n starts far off, the critic at the data, as in stage 3; it learns only from rollouts."""
    generator, critic = torch.Generator().manual_seed(2), GaussianFlow(MEAN, SPREAD)
    mean, spread = nn.Parameter(torch.tensor(-0.5)), nn.Parameter(torch.tensor(1.2))
    student_optimiser = torch.optim.Adam([mean, spread], lr=0.05, betas=(0.0, 0.99))
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=0.05, betas=(0.0, 0.99))
    seen: list[tuple[float, float]] = []
    for update in range(1440):
        x0 = batch(256, generator, mean, spread)
        timesteps, noise = drawn(256, generator)
        noisy = add_noise(x0, noise, timesteps).detach()
        if update < 60 or update % 6:
            critic_optimiser.zero_grad()
            flow_loss(critic(noisy, timesteps), x0.detach(), noise).backward()
            critic_optimiser.step()
            continue
        with torch.no_grad():
            real = true_x0(noisy, (timesteps / STEPS).reshape(-1, 1, 1, 1, 1))
            fake = x0_from_flow(noisy, critic(noisy, timesteps), timesteps)
        student_optimiser.zero_grad()
        dmd_loss(x0, dmd_gradient(x0, real, fake)).backward()
        student_optimiser.step()
        seen.append((mean.item(), spread.item()))
    settled = torch.tensor(seen[-40:]).mean(0)  # it goes on swinging by a few steps; what is released is an average
    assert settled[0].item() == pytest.approx(MEAN, abs=0.1)
    assert settled[1].item() == pytest.approx(SPREAD, abs=0.1)
    assert critic.mean.item() == pytest.approx(mean.item(), abs=0.2)


def test_the_dmd_gradient_vanishes_where_student_and_data_agree_and_points_to_the_data_elsewhere() -> None:
    generator = torch.Generator().manual_seed(3)
    timesteps = torch.full((4096,), 500.0)
    sigma = torch.tensor(0.5)

    def mean_gradient(mean: float) -> float:
        x0 = batch(4096, generator, mean, SPREAD)
        noisy = add_noise(x0, torch.randn(x0.shape, generator=generator), timesteps)
        return float(dmd_gradient(x0, true_x0(noisy, sigma), true_x0(noisy, sigma, mean)).mean())

    assert mean_gradient(MEAN) == 0
    assert mean_gradient(MEAN - 1) < -0.1 < 0.1 < mean_gradient(MEAN + 1)


def test_the_dmd_gradient_is_normalised_per_sample_and_is_the_losses_derivative() -> None:
    generator = torch.Generator().manual_seed(4)
    x0, real, fake = (torch.randn(3, 2, 4, 2, 2, generator=generator) for _ in range(3))
    gradient = dmd_gradient(x0, real, fake)
    for sample in range(3):
        expected = (fake[sample] - real[sample]) / (x0[sample] - real[sample]).abs().mean()
        torch.testing.assert_close(gradient[sample], expected)
    x0.requires_grad_(True)
    dmd_loss(x0, gradient).backward()
    torch.testing.assert_close(x0.grad, gradient / x0.numel())


def test_clean_positions_leave_the_regression() -> None:
    generator = torch.Generator().manual_seed(5)
    noisy, flow, x0 = (torch.randn(1, 4, 2, 2, 2, generator=generator) for _ in range(3))
    timesteps = torch.tensor([[0.0, 0.0, 500.0, 500.0]])
    expected = (noisy[:, 2:] - 0.5 * flow[:, 2:] - x0[:, 2:]).square().mean()
    torch.testing.assert_close(regression_loss(noisy, flow, x0, timesteps), expected)
    assert regression_loss(noisy, flow, x0, torch.zeros(1, 4)) == 0


def test_weights_count_per_sample() -> None:
    flow, x0, noise = torch.ones(2, 1, 1, 1, 1), torch.zeros(2, 1, 1, 1, 1), torch.zeros(2, 1, 1, 1, 1)
    assert flow_loss(flow, x0, noise) == 1
    assert flow_loss(flow, x0, noise, torch.tensor([0.0, 1.0])) == 0.5


def test_weights_count_per_place() -> None:
    flow, x0, noise = torch.ones(1, 2, 3, 1, 1), torch.zeros(1, 2, 3, 1, 1), torch.zeros(1, 2, 3, 1, 1)
    where = torch.tensor([0.5, 3.5]).reshape(1, 2, 1, 1, 1)
    assert flow_loss(flow, x0, noise, where=where) == 2
    assert flow_loss(flow, x0, noise, torch.tensor([2.0]), where) == 4
