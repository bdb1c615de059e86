"""Solvers against flows whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shotstream.core.flow import FlowSchedule
from shotstream.families.preset import SamplerSettings
from shotstream.sampling.solvers import GradientPolicy, euler, euler_states, few_step, sampler

TARGET = torch.tensor([3.0, -1.0])


def towards_target(x: Tensor, timestep: float) -> Tensor:
    """The exact flow of a data set of one point: v = (x - x0) / s."""
    return (x - TARGET) / (timestep / 1000)


def draw(step: int) -> Tensor:
    return torch.full((2,), 10.0 + step)


def test_few_step_finds_the_only_point_there_is() -> None:
    assert torch.allclose(few_step(towards_target, draw, timesteps=(1000, 750, 500, 250)), TARGET, atol=1e-5)


def test_few_step_renoises_with_fresh_noise_in_order() -> None:
    seen: list[tuple[Tensor, float]] = []

    def flow(x: Tensor, timestep: float) -> Tensor:
        seen.append((x, timestep))
        return torch.zeros(2)

    few_step(flow, draw, timesteps=(1000, 500, 250))
    expected = torch.full((2,), 10.0)
    for (x, timestep), step in zip(seen, range(3), strict=True):
        if step:
            expected = (1 - timestep / 1000) * expected + timestep / 1000 * draw(step)
        assert torch.equal(x, expected)


def test_euler_is_exact_on_straight_paths_and_passes_its_states() -> None:
    grid = FlowSchedule(shift=3).euler(4)
    assert torch.allclose(euler(towards_target, draw, timesteps=grid), TARGET, atol=1e-4)
    states = list(euler_states(towards_target, draw(0), grid))
    assert len(states) == 5
    for state, timestep in zip(states, grid, strict=True):
        sigma = timestep / 1000
        torch.testing.assert_close(state, (1 - sigma) * TARGET + sigma * draw(0), atol=1e-4, rtol=1e-4)


def test_only_the_exit_step_has_gradients_and_it_is_the_last() -> None:
    weight = torch.ones(2, requires_grad=True)
    calls: list[bool] = []

    def flow(x: Tensor, timestep: float) -> Tensor:
        calls.append(torch.is_grad_enabled())
        return weight * x

    clean = few_step(flow, draw, GradientPolicy(exit_step=1), timesteps=(1000, 750, 500, 250))
    assert calls == [False, True]
    (gradient,) = torch.autograd.grad(clean.sum(), weight)
    assert torch.allclose(gradient, -0.75 * (0.75 * draw(1)))  # the first step's x0 is 0
    calls.clear()
    assert not few_step(flow, draw, timesteps=(1000, 500)).requires_grad
    assert calls == [False, False]


def test_no_stage_trains_through_an_ode() -> None:
    with pytest.raises(ValueError, match="exit step"):
        euler(towards_target, draw, GradientPolicy(exit_step=0), timesteps=(1000, 0))


def test_settings_choose_the_solver() -> None:
    schedule = FlowSchedule(shift=3)
    for settings in (SamplerSettings(), SamplerSettings(kind="euler", steps=3)):
        assert torch.allclose(sampler(settings, schedule)(towards_target, draw), TARGET, atol=1e-4)
