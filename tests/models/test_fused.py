"""Fewer, larger operations in layers that are only read: the same answers, and never where something changed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.models import fused_linear
from shotstream.models.layers import SelfAttention
from shotstream.models.transformer import Transformer


def flow_of(model: Transformer) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 3, model.config.in_channels, 4, 6, generator=generator)
    captions = torch.randn(1, 1, 5, model.config.text_dim, generator=generator)
    with torch.no_grad():
        return model(latents, torch.full((1,), 700.0), captions)


def first_attention(model: Transformer) -> SelfAttention:
    return model.blocks[0].self_attn


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_loaded_layers_say_what_separate_ones_do(tiny_model: Path, dtype: torch.dtype, tolerance: float) -> None:
    loaded, _ = load_transformer(tiny_model / "student.safetensors", dtype=dtype)
    separate = copy.deepcopy(loaded).fuse_(False)
    assert loaded.blocks[0]._grow is not None and separate.blocks[0]._grow is None
    expected = flow_of(separate)
    assert float((flow_of(loaded) - expected).norm() / expected.norm()) < tolerance


def test_a_changed_weight_changes_the_answer(tiny_model: Path) -> None:
    """In place through a view, or replaced: what was joined is never a stale copy."""
    model, _ = load_transformer(tiny_model / "student.safetensors")
    before = flow_of(model)
    first_attention(model).v.weight.data.mul_(2)
    in_place = flow_of(model)
    assert not torch.equal(before, in_place)
    model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()}, assign=True)
    assert torch.allclose(flow_of(model), in_place, atol=1e-5)
    first_attention(model).v.weight.data.mul_(2)
    assert not torch.allclose(flow_of(model), in_place, atol=1e-5)


def test_weights_that_learn_get_their_gradients(tiny_model: Path) -> None:
    model, _ = load_transformer(tiny_model / "student.safetensors")
    model.requires_grad_(True)
    latents = torch.randn(1, 3, model.config.in_channels, 4, 6)
    model(latents, torch.full((1,), 700.0), torch.randn(1, 1, 5, model.config.text_dim)).square().sum().backward()
    attention = first_attention(model)
    assert all(part.weight.grad is not None for part in (attention.q, attention.k, attention.v))


def test_without_onednn_s_bfloat16_gelu_is_a_function_of_its_own(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load_transformer(tiny_model / "student.safetensors", dtype=torch.bfloat16)
    monkeypatch.setattr(fused_linear, "onednn_has_bfloat16", lambda: False)
    without = flow_of(model)
    assert torch.allclose(without, flow_of(model.fuse_(False)), atol=2e-2)
