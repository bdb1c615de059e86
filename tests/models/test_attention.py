"""Every kernel computes the same attention; segments equal a mask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.nn import attention

from shotstream.core.errors import InputError
from shotstream.models.attention import Backend, attend, attend_segments, check_backend, default_backend
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import clean_and_noisy, sees, segments


def heads(tokens: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, tokens, 3, 8)


def test_written_out_attention_equals_the_fused_kernel() -> None:
    q, k, v = heads(5), heads(7), heads(7)
    torch.testing.assert_close(attend(q, k, v, "softmax"), attend(q, k, v, "sdpa"), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", ["sdpa", "flash", "math"])
def test_kernels_insisted_on_equal_it_too(backend: Backend) -> None:
    check_backend(backend, torch.device("cpu"), torch.float32, 8)
    q, k, v = heads(5), heads(7), heads(7)
    torch.testing.assert_close(attend(q, k, v, backend), attend(q, k, v, "softmax"), atol=1e-6, rtol=1e-5)


def test_a_kernel_that_is_not_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"no attention kernel 'cudnn' for cpu .* use one of auto, softmax, sdpa"):
        check_backend("cudnn", torch.device("cpu"), torch.float32, 8)


def test_large_problems_go_to_the_fused_kernel() -> None:
    small = torch.empty(1, 100, 2, 8)
    large = torch.empty(1, 8_000, 2, 8)
    assert default_backend(small, small) == "softmax"
    assert default_backend(large, large) == "sdpa"


def test_segments_equal_masked_attention() -> None:
    layout = clean_and_noisy(2, 4, 2)
    q, k, v = heads(len(layout)), heads(len(layout)), heads(len(layout))
    mask = torch.tensor([[sees(query, key) for key in layout] for query in layout])
    expected = F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), attn_mask=mask).transpose(1, 2)
    torch.testing.assert_close(attend_segments(q, k, v, segments(layout)), expected, atol=1e-6, rtol=1e-5)


class Installed:
    """Stands for FlashAttention 3 and 4 where PyTorch looks for them, and says what it has been asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.asked: list[str] = []
        known = attention._registry._FLASH_ATTENTION_IMPLS
        for name in names:
            monkeypatch.setitem(known, name, lambda name=name: self.asked.append(name) or self)

    def remove(self) -> None:
        self.asked.append("PyTorch's own")


@pytest.mark.parametrize("backend", ["fa3", "fa4"])
def test_flash_attention_that_is_not_installed_is_refused_in_a_line(backend: Backend) -> None:
    with pytest.raises(
        InputError, match=rf"^no attention kernel '{backend}' .* \(is FA\d installed\?\); use one of auto"
    ):
        check_backend(backend, torch.device("cpu"), torch.float32, 8)
    assert attention.current_flash_attention_impl() is None


def test_each_pass_uses_the_flash_attention_of_its_own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for the process, so models that alternate switch it; what is in use already is left alone."""
    installed = Installed(monkeypatch, "FA3", "FA4")
    config = TransformerConfig(in_channels=4, dim=24, ffn_dim=32, heads=2, layers=1, freq_dim=16, text_dim=8)
    models = {name: Transformer(config, backend=name) for name in ("fa3", "fa4", "flash")}
    for model in models.values():
        model.load_state_dict(models["flash"].state_dict())
        torch.nn.init.ones_(model.head.head.weight)
    given = torch.randn(1, 2, 4, 4, 4), torch.tensor([500.0]), torch.randn(1, 1, 3, 8)
    flows = [models[name](*given) for name in ("fa3", "fa3", "flash", "flash", "fa4", "flash")]
    assert installed.asked == ["FA3", "PyTorch's own", "FA4", "PyTorch's own"]
    assert all(torch.equal(flow, flows[0]) for flow in flows)


@pytest.mark.parametrize("backend", ["flash", "fa3"])
def test_what_flash_kernels_cannot_mask_is_left_to_pytorch(backend: Backend) -> None:
    q, k, v, bias = heads(5), heads(7), heads(7), torch.zeros(2, 7)
    bias[:, 4:] = -torch.inf
    torch.testing.assert_close(attend(q, k, v, backend, bias), attend(q, k, v, "softmax", bias), atol=1e-6, rtol=1e-5)
