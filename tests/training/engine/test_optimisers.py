"""Muon sees a convolution as the matrix it is, and computes in the format the machine is fast in."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from shotstream.training.engine.optimisers import COEFFICIENTS, Muon, RoleOptimiser, is_matrix, orthogonalised
from shotstream.training.engine.stage import OptimiserSettings


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


def test_muons_coefficients_are_the_best_from_the_smallest_singular_value_on() -> None:
    low, high = 0.005, 1.0
    for linear, cubic, quintic in COEFFICIENTS:
        x = torch.linspace(low, high, 200_001, dtype=torch.float64)
        value = linear * x + cubic * x**3 + quintic * x**5
        # Best of its degree: the error reaches its largest size four times, with alternating signs (Chebyshev).
        error = value - 1
        largest = float(error.abs().max())
        inner = [float(error[k]) for k in (error.diff().sign().diff().abs() > 1).nonzero().flatten() + 1]
        peaks = [float(error[0]), *inner, float(error[-1])]
        assert len(peaks) == 4
        assert all(abs(abs(peak) - largest) < 1e-6 for peak in peaks)
        assert all(one * other < 0 for one, other in pairwise(peaks))
        low, high = 1 - largest, 1 + largest


@pytest.mark.parametrize("shape", [(24, 32), (32, 24), (24, 96), (96, 24)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_keeps_singular_vectors_and_brings_values_near_one(monkeypatch, shape, dtype) -> None:
    monkeypatch.setattr("shotstream.training.engine.optimisers.pick_dtype", lambda name, device: dtype)
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    turned = orthogonalised(matrices).double()
    u, values, v = torch.linalg.svd(matrices.double(), full_matrices=False)
    seen = u.mT @ turned @ v.mT  # diagonal where the vectors are kept
    kept = values > 0.05 * values.amax(-1, keepdim=True)
    diagonal = seen.diagonal(dim1=-2, dim2=-1)
    assert diagonal[kept].min() > 0.45 and diagonal[kept].max() < (1.6 if dtype is torch.float32 else 2.5)
    rest = seen - torch.diag_embed(diagonal)
    assert rest.norm() / seen.norm() < (1e-5 if dtype is torch.float32 else 0.12)


def test_muon_steps_as_torchs_does_but_for_how_it_orthogonalises() -> None:
    ours, theirs = (nn.ParameterList([torch.ones(6, 4), torch.ones(6, 4), torch.ones(4, 9)]) for _ in range(2))
    settings = {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.9}
    mine, torchs = Muon(ours, **settings), torch.optim.Muon(theirs, ns_steps=5, **settings)
    for step in range(3):
        draw = torch.Generator().manual_seed(step)
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=draw)
            other.grad = one.grad.clone()
        mine.step()
        torchs.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.state[one]["momentum_buffer"], torchs.state[other]["momentum_buffer"])
        moved, meant = (one.detach() - 1).flatten(), (other.detach() - 1).flatten()
        assert torch.dot(moved, meant) / (moved.norm() * meant.norm()) > 0.95
        assert 0.8 < moved.norm() / meant.norm() < 1.25


def test_a_zero_gradient_moves_nothing() -> None:
    assert not orthogonalised(torch.zeros(2, 4, 5)).any()
    assert not orthogonalised(torch.zeros(2, 4, 12)).any()
