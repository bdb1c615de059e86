"""The noise schedule and the flow's algebra, against the recording and against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shotstream.core.errors import InputError
from shotstream.core.flow import FlowSchedule, add_noise, flow_target, x0_from_flow
from shotstream.core.randomness import stream

GOLDEN = Path(__file__).parents[1] / "golden"


def test_the_few_step_list_is_the_recorded_one() -> None:
    recorded = load_file(GOLDEN / "parity_a.safetensors")["denoising_timesteps"]
    torch.testing.assert_close(torch.tensor(FlowSchedule(shift=8).few_step((1000, 740, 500, 260))), recorded)


def test_shift_three_gives_the_sigmas_we_say_it_does() -> None:
    sigmas = torch.tensor(FlowSchedule(shift=3).few_step((1000, 740, 500, 260))) / 1000
    torch.testing.assert_close(sigmas, torch.tensor([1.0, 0.895, 0.75, 0.513]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("timesteps", [(), (500, 740), (1001,), (500, 0), (500, 500)])
def test_a_list_that_does_not_fall_is_refused(timesteps: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="falling"):
        FlowSchedule().few_step(timesteps)


def test_an_euler_grid_of_twenty_contains_the_quarter_list() -> None:
    schedule = FlowSchedule(shift=3)
    grid = schedule.euler(20)
    assert len(grid) == 21 and grid[0] == 1000 and grid[-1] == 0
    for timestep in schedule.few_step((1000, 750, 500, 250)):
        assert min(abs(timestep - other) for other in grid) < 1e-9


def test_x0_and_flow_are_inverse_and_the_target_is_noise_minus_data() -> None:
    x0, noise = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 3, 4, 2, 2)
    timesteps = torch.tensor([[250.0, 500.0, 1000.0], [1.0, 20.0, 980.0]])
    x_t = add_noise(x0, noise, timesteps)
    torch.testing.assert_close(x0_from_flow(x_t, flow_target(x0, noise), timesteps), x0)
    torch.testing.assert_close(add_noise(x0[0], noise[0], 250.0), 0.75 * x0[0] + 0.25 * noise[0])
    torch.testing.assert_close(add_noise(x0, noise, torch.tensor([0.0, 1000.0])), torch.stack([x0[0], noise[1]]))


def test_uniform_draws_have_the_median_and_the_clamped_share_the_method_states() -> None:
    draws = FlowSchedule(shift=8).draw_uniform(20_000, stream(0, "draws"))
    assert abs(draws.median().item() - 889) < 5
    assert abs((draws > 980).float().mean().item() - 0.14) < 0.01


def test_logit_normal_draws_peak_in_the_middle_before_the_shift() -> None:
    draws = FlowSchedule(shift=1).draw_logit_normal(20_000, stream(0, "draws"))
    assert abs(draws.median().item() - 500) < 10
    assert draws.min() > 0 and draws.max() < 1000
    shifted = FlowSchedule(shift=3).draw_logit_normal(20_000, stream(0, "draws"))
    torch.testing.assert_close(shifted.median(), torch.tensor(750.0), atol=10, rtol=0)


def test_loss_weights_sum_to_a_thousand_and_vanish_at_pure_noise() -> None:
    schedule = FlowSchedule(shift=8)
    weights = schedule.loss_weights(schedule.timesteps())
    torch.testing.assert_close(weights.double().sum(), torch.tensor(1000.0).double(), rtol=1e-5, atol=0)
    assert weights[0] == 0 and weights.min() == 0
    assert schedule.timesteps()[weights.argmax()].sub(500).abs() < 2
