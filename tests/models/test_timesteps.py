"""What is known of a timestep is never that of other weights."""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.models.transformer import KnownTimes, Times


class Work:
    """Counts how often it is asked; answers with the weight it has then."""

    def __init__(self) -> None:
        self.weight = torch.ones(1)
        self.asked = 0

    def __call__(self, timesteps: Tensor) -> Times:
        self.asked += 1
        return timesteps * self.weight, timesteps + self.weight, timesteps


def test_the_same_timesteps_are_worked_out_once() -> None:
    known, work = KnownTimes(), Work()
    first, other = torch.tensor([[0.0, 500.0]]), torch.tensor([[500.0, 0.0]])
    for timesteps in (first, other, first, other, first):
        assert torch.equal(known.of(timesteps, [work.weight], work)[0], timesteps)
    assert work.asked == 2
    assert known.of(first.expand(2, -1), [work.weight], work)[0].shape == (2, 2)


def test_other_weights_are_asked_anew() -> None:
    known, work, timesteps = KnownTimes(), Work(), torch.tensor([[3.0]])
    known.of(timesteps, [work.weight], work)
    work.weight.mul_(2)
    assert known.of(timesteps, [work.weight], work)[0].item() == 6
    work.weight = torch.full((1,), 5.0)
    assert known.of(timesteps, [work.weight], work)[0].item() == 15


def test_nothing_is_kept_of_weights_that_learn() -> None:
    known, work, timesteps = KnownTimes(), Work(), torch.tensor([[3.0]])
    work.weight.requires_grad_(True)
    for _ in range(2):
        assert known.of(timesteps, [work.weight], work)[0].requires_grad
    assert work.asked == 2


def test_only_so_many_are_kept() -> None:
    known, work = KnownTimes(most=2), Work()
    for value in (1.0, 2.0, 3.0, 3.0, 1.0):
        known.of(torch.tensor([[value]]), [work.weight], work)
    assert work.asked == 4
    nothing, work = KnownTimes(most=0), Work()
    for _ in range(2):
        nothing.of(torch.tensor([[1.0]]), [work.weight], work)
    assert work.asked == 2
