"""Muon sees a convolution as the matrix it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shotstream.training.optimisers import RoleOptimiser, is_matrix
from shotstream.training.settings import OptimiserSettings


def test_a_one_by_one_convolution_learns_exactly_as_the_linear_layer_it_is() -> None:
    torch.manual_seed(0)
    linear, convolution = nn.Linear(6, 8), nn.Conv2d(6, 8, 1)
    convolution.weight.data.copy_(linear.weight.data[..., None, None])
    convolution.bias.data.copy_(linear.bias.data)
    modules = [nn.Sequential(linear), nn.Sequential(convolution.to(memory_format=torch.channels_last))]
    optimisers = [RoleOptimiser(module, OptimiserSettings(clip=100.0)) for module in modules]
    for step in range(4):
        x = torch.randn(5, 6, generator=torch.Generator().manual_seed(step))
        modules[0](x).square().mean().backward()
        modules[1](x[..., None, None]).square().mean().backward()
        for optimiser in optimisers:
            optimiser.step(1.0)
    torch.testing.assert_close(convolution.weight[:, :, 0, 0], linear.weight)


def test_muon_steps_the_convolution_itself_and_not_a_copy() -> None:
    convolution = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    before = convolution.weight.detach().clone()
    optimiser = RoleOptimiser(nn.Sequential(convolution), OptimiserSettings())
    convolution(torch.randn(1, 4, 5, 5)).square().mean().backward()
    optimiser.step(1.0)
    assert not torch.equal(before, convolution.weight)
    assert convolution.weight.grad is None


def test_a_layout_that_has_no_matrix_view_is_refused() -> None:
    with pytest.raises(RuntimeError, match="channels_last"):
        RoleOptimiser(nn.Sequential(nn.Conv2d(4, 4, 3)), OptimiserSettings())


def test_embeddings_heads_and_gains_are_no_matrices() -> None:
    matrix = torch.zeros(4, 4)
    assert is_matrix("blocks.0.ffn.0.weight", matrix)
    for name in ("head.head.weight", "text_embedding.0.weight", "blocks.0.modulation", "blocks.0.norm3.weight"):
        assert not is_matrix(name, matrix)
    assert not is_matrix("blocks.0.ffn.0.bias", torch.zeros(4))
