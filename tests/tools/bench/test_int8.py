"""Int8 layers are the layers, to within their rounding."""

from __future__ import annotations

import torch
from torch import nn

from shotstream.film.director import Director
from shotstream.tools.bench.int8 import Int8Linear, in_int8, rounded


def test_rounding_is_within_half_a_step() -> None:
    torch.manual_seed(0)
    x = torch.cat([torch.randn(8, 32), torch.zeros(1, 32)])
    levels, steps = rounded(x)
    assert levels.dtype == torch.int8 and levels[:8].abs().amax(1).eq(127).all()
    assert ((levels * steps[:, None] - x).abs() <= steps[:, None] * 0.5001).all()


def test_a_layer_is_near_the_one_it_stands_for() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 64)
    x = torch.randn(2, 20, 48)
    ours, exact = Int8Linear(linear)(x), linear(x)
    assert ours.shape == exact.shape and ours.dtype == exact.dtype
    assert 0 < (ours - exact).norm() / exact.norm() < 0.02


def test_only_the_copy_changes(director: Director) -> None:
    model = director.shots.model
    copied = in_int8(model)
    kinds = {type(module) for module in copied.blocks.modules()}
    assert Int8Linear in kinds and nn.Linear not in kinds
    assert Int8Linear not in {type(module) for module in model.modules()}
    assert type(copied.head.head) is nn.Linear
