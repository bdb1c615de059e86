"""Every kernel computes the same attention; segments equal a mask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shotstream.core.errors import InputError
from shotstream.models.attention import Backend, attend, attend_segments, check_backend, default_backend
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
