"""Muon sees a convolution as the matrix it is, and computes in the format the machine is fast in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shotstream.training.optimisers import RoleOptimiser, is_matrix
from shotstream.training.settings import OptimiserSettings
from shotstream.training.wide_muon import WideMuon


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


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Muon's quintic iteration, five times, in float64."""
    matrix = matrix.double() / matrix.double().norm()
    for _ in range(5):
        gram = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * gram + 2.0315 * gram @ gram) @ matrix
    return matrix


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_orthogonalises_in_the_format_the_machine_is_fast_in(monkeypatch, dtype) -> None:
    monkeypatch.setattr("shotstream.training.wide_muon.pick_dtype", lambda name, device: dtype)
    weight = torch.nn.Parameter(torch.zeros(24, 32))
    weight.grad = torch.randn(24, 32, generator=torch.Generator().manual_seed(0))
    expected = -0.1 * orthogonalised(weight.grad)
    WideMuon([weight], lr=0.1, weight_decay=0, momentum=0, nesterov=False).step()
    error = float((weight.detach() - expected).norm() / expected.norm())
    assert error < 1e-5 if dtype is torch.float32 else 1e-4 < error < 3e-2
