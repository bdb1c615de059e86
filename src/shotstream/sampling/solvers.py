"""From noise to a clean block: plain functions over a flow. They never learn which network predicts it.

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

from shotstream.core.flow import STEPS, FlowSchedule, add_noise, x0_from_flow
from shotstream.models.presets import SamplerSettings

Flow = Callable[[Tensor, float], Tensor]
Draw = Callable[[int], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientPolicy:
    """Where gradients flow in a rollout. The default, nowhere, is sampling.

    exit_step: self-forcing ends every block at this step, which alone has gradients (arXiv 2506.08009, algorithm 1);
    context, refresh: do the passes that write the context cache and the shot cache have them?
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


def sampler(settings: SamplerSettings, schedule: FlowSchedule) -> Sampler:
    """The solver ``settings`` describe."""
    if settings.kind == "euler":
        return partial(euler, timesteps=schedule.euler(settings.steps))
    return partial(few_step, timesteps=schedule.few_step(settings.listed))
