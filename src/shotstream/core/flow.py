"""Flow matching: x_t = (1 - s) x0 + s n, the network predicts v = n - x0, so x0 = x_t - s v; timestep t = 1000 s.

Tensors of latents are [..., channels, height, width]; a timestep tensor has their leading axes
([B] for [B, F, C, H, W] counts for all frames of a sample), or is a plain number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from shotstream.core.config import Config
from shotstream.core.errors import InputError

Latents = Annotated[Tensor, "..."]

STEPS = 1000  # entries of the schedule's table, and the timestep of pure noise


class FlowSchedule(Config):
    """The shifted noise schedule s' = shift s / (1 + (shift - 1) s), s from 1 down to 1/1000 in 1000 steps."""

    shift: float = Field(default=8.0, ge=1)

    def shifted(self, sigmas: Tensor) -> Tensor:
        """Sigmas in 0..1 of the unshifted schedule -> sigmas of this one."""
        return self.shift * sigmas / (1 + (self.shift - 1) * sigmas)

    def timesteps(self, steps: int = STEPS) -> Annotated[Tensor, "steps"]:
        """[steps] float64, falling from 1000; the closing 0 is left off."""
        return STEPS * self.shifted(torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1])

    def few_step(self, timesteps: Sequence[int]) -> tuple[float, ...]:
        """``timesteps`` before the shift (such as 1000, 740, 500, 260) -> after it: entry 1000 - t of the table.

        Raises InputError unless they fall strictly and lie in 1..1000.
        """
        falling = all(here > after for here, after in pairwise(timesteps))
        if not timesteps or not falling or timesteps[0] > STEPS or timesteps[-1] < 1:
            raise InputError(f"timesteps {list(timesteps)}: give falling whole numbers from {STEPS} to 1")
        table = self.timesteps()
        return tuple(float(table[STEPS - t]) for t in timesteps)

    def euler(self, steps: int) -> tuple[float, ...]:
        """``steps`` + 1 timesteps from 1000 to 0: the grid of an ODE solver."""
        return (*self.timesteps(steps).tolist(), 0.0)

    def draw_uniform(self, count: int, generator: torch.Generator) -> Annotated[Tensor, "count"]:
        """[count] float32 training timesteps: a uniform index into the table."""
        return self.timesteps()[torch.randint(STEPS, (count,), generator=generator)].float()

    def draw_logit_normal(
        self, count: int, generator: torch.Generator, mean: float = 0.0, deviation: float = 1.0
    ) -> Tensor:
        """[count] float32 training timesteps: sigmoid of a normal draw, then shifted (arXiv 2403.03206, 3.1)."""
        sigmas = torch.sigmoid(mean + deviation * torch.randn(count, generator=generator, dtype=torch.float64))
        return (STEPS * self.shifted(sigmas)).float()

    def loss_weights(self, timesteps: Tensor) -> Tensor:
        """The teacher's weight per timestep: a Gaussian bump at 500, minus its minimum, scaled to sum to 1000."""
        table = _bump(self.timesteps())
        return ((_bump(timesteps.double()) - table.min()) * STEPS / (table - table.min()).sum()).float()


def _bump(timesteps: Tensor) -> Tensor:
    return torch.exp(-2 * ((timesteps - STEPS / 2) / STEPS) ** 2)


def sigma_like(timesteps: Tensor | float, x: Tensor) -> Tensor | float:
    """Sigma of ``timesteps``, shaped to broadcast over ``x``."""
    if not isinstance(timesteps, Tensor):
        return timesteps / STEPS
    sigma = (timesteps.double() / STEPS).to(x)
    return sigma.reshape(sigma.shape + (1,) * (x.dim() - sigma.dim()))


def add_noise(x0: Latents, noise: Latents, timesteps: Tensor | float) -> Latents:
    """x_t = (1 - s) x0 + s n."""
    sigma = sigma_like(timesteps, x0)
    return (1 - sigma) * x0 + sigma * noise


def flow_target(x0: Latents, noise: Latents) -> Latents:
    """v = n - x0: what the network learns to predict."""
    return noise - x0


def x0_from_flow(x_t: Latents, flow: Latents, timesteps: Tensor | float) -> Latents:
    """x0 = x_t - s v."""
    return x_t - sigma_like(timesteps, x_t) * flow
