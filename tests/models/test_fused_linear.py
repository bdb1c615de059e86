"""Products made of linear layers, against the layers themselves."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from shotstream.models import fused_linear
from shotstream.models.fused_linear import FusedLinear, linear


def layers(count: int, dtype: torch.dtype) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(24, 16, dtype=dtype).requires_grad_(False) for _ in range(count)]


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.float() - theirs.float()).norm() / theirs.float().norm())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_lie_side_by_side(count: int, dtype: torch.dtype, tolerance: float) -> None:
    parts = layers(count, dtype)
    x = torch.randn(2, 5, 24, dtype=dtype)
    expected = torch.cat([part(x) for part in parts], dim=-1)
    made = FusedLinear(*parts)
    assert made.stands_for(*parts)
    assert relative(made(x), expected) < tolerance
    assert torch.equal(torch.cat([part(x) for part in parts], dim=-1), expected)  # the layers still say what they said


def test_gelu_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    part, x = layers(1, torch.bfloat16)[0], torch.randn(5, 24, dtype=torch.bfloat16)
    expected = nn.functional.gelu(part(x).float(), approximate="tanh")
    assert relative(FusedLinear(part, activation="gelu")(x), expected) < 1e-2
    monkeypatch.setattr(fused_linear, "onednn_has_bfloat16", lambda: False)
    assert relative(FusedLinear(part, activation="gelu")(x), expected) < 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_it_never_stands_for_weights_that_changed(dtype: torch.dtype) -> None:
    part, x = layers(1, dtype)[0], torch.randn(5, 24, dtype=dtype)
    made = FusedLinear(part)
    part.weight.mul_(2)
    assert not made.stands_for(part)
    assert torch.equal(linear(None, part, x), part(x))
    beside = layers(3, dtype)
    joined = FusedLinear(*beside)
    beside[1].weight = nn.Parameter(beside[1].weight.clone(), requires_grad=False)
    assert not joined.stands_for(*beside)
    learning = copy.deepcopy(part).requires_grad_(True)
    assert not FusedLinear(part).stands_for(learning)
    assert not FusedLinear(part).stands_for(nn.Sequential(part))
    assert copy.deepcopy(FusedLinear(part)) is None


def test_large_matrices_are_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "onednn_has_bfloat16", lambda: True)
    monkeypatch.setattr(fused_linear, "_LARGEST_COPY", 24 * 16 - 1)
    assert FusedLinear(*layers(1, torch.bfloat16))._reordered is None
