"""Samplers: plain functions from noise to a clean block, over any flow.

``flow(x, t)`` is the predicted flow of x [B, f, C, h, w] at timestep t; ``draw(step)`` is fresh noise like x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.core.flow import STEPS, FlowSchedule, add_noise, x0_from_flow
from shotstream.families.preset import SamplerSettings

Flow = Callable[[Tensor, float], Tensor]
Draw = Callable[[int], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientPolicy:
    """Where gradients flow in a rollout. By default nowhere, for sampling.

    exit_step: self-forcing ends every block at this step, the only one with gradients (arXiv 2506.08009, algorithm 1);
    context, refresh: whether the passes that write the context cache and the shot cache have gradients.
    """

    exit_step: int | None = None
    context: bool = False
    refresh: bool = False

    @property
    def anywhere(self) -> bool:
        return self.exit_step is not None or self.context or self.refresh


NEVER = GradientPolicy()


class Sampler(Protocol):
    def __call__(self, flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER) -> Tensor: ...


def few_step(flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER, *, timesteps: Sequence[float]) -> Tensor:
    """Predict x0 at each timestep and re-noise it, with fresh noise, to the next; the last x0."""
    x = draw(0)
    last = len(timesteps) - 1 if gradient.exit_step is None else gradient.exit_step
    for step, here in enumerate(timesteps[: last + 1]):
        with torch.set_grad_enabled(step == gradient.exit_step):
            clean = x0_from_flow(x, flow(x, here), here)
            x = clean if step == last else add_noise(clean, draw(step + 1), timesteps[step + 1])
    return x


def euler_states(flow: Flow, noise: Tensor, timesteps: Sequence[float]) -> Iterator[Tensor]:
    """Solve dx/ds = v by Euler steps down ``timesteps`` (the last is 0): yields x at every one of them."""
    x = noise
    yield x
    for here, after in pairwise(timesteps):
        with torch.no_grad():
            x = x + (after - here) / STEPS * flow(x, here)
        yield x


def euler(flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER, *, timesteps: Sequence[float]) -> Tensor:
    """The end of :func:`euler_states`. Raises ValueError if gradients are asked for: no stage trains through an ODE."""
    if gradient.exit_step is not None:
        raise ValueError("the Euler solver has no exit step; train with the few-step sampler")
    *_, x = euler_states(flow, draw(0), timesteps)
    return x


# By the name a preset gives (SamplerSettings.kind). A sampler of your own is one more entry.
SAMPLERS: dict[str, Callable[[SamplerSettings, FlowSchedule], Sampler]] = {
    "few_step": lambda settings, schedule: partial(few_step, timesteps=schedule.few_step(settings.timesteps)),
    "euler": lambda settings, schedule: partial(euler, timesteps=schedule.euler(settings.steps)),
}


def sampler(settings: SamplerSettings, schedule: FlowSchedule) -> Sampler:
    """The sampler that ``settings`` describe. Raises :class:`InputError` for a kind that is unknown."""
    if settings.kind not in SAMPLERS:
        raise InputError(f"no sampler is called {settings.kind!r}; known: {', '.join(SAMPLERS)}")
    return SAMPLERS[settings.kind](settings, schedule)
