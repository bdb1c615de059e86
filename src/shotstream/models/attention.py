"""Attention kernels, chosen by name. None takes a mask: visibility is resolved into segments beforehand.

Axes: B batch, Q query tokens, K key tokens, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Backend = Literal["auto", "softmax", "sdpa"]

# Score matrices above this many numbers are left to the fused kernel, which never stores them.
_LARGEST_SCORES = 1 << 25


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v, written out: on CPU faster than the fused kernel at some hundred tokens."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (scores.softmax(-1) @ v).transpose(1, 2)


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's fused scaled dot-product attention."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


_KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "softmax": softmax_attention,
    "sdpa": sdpa_attention,
}


def default_backend(q: Tensor, k: Tensor) -> Literal["softmax", "sdpa"]:
    """Written-out attention for small problems on CPU, the fused kernel everywhere else."""
    scores = q.shape[0] * q.shape[1] * k.shape[1] * q.shape[2]
    return "softmax" if q.device.type == "cpu" and scores <= _LARGEST_SCORES else "sdpa"


def attend(q: Tensor, k: Tensor, v: Tensor, backend: Backend = "auto") -> Tensor:
    """Attention of q [B, Q, H, D] over k, v [B, K, H, D]; returns [B, Q, H, D]."""
    return _KERNELS[default_backend(q, k) if backend == "auto" else backend](q, k, v)


TokenSegment = tuple[slice, tuple[slice, ...]]


def attend_segments(q: Tensor, k: Tensor, v: Tensor, plan: Sequence[TokenSegment], backend: Backend = "auto") -> Tensor:
    """Attention in which each query slice of ``plan`` sees its own key slices; token units."""
    if len(plan) == 1 and len(plan[0][1]) == 1:
        return attend(q, k, v, backend)
    parts = []
    for queries, runs in plan:
        seen_k, seen_v = _gather(k, runs), _gather(v, runs)
        parts.append(attend(q[:, queries], seen_k, seen_v, backend))
    return torch.cat(parts, dim=1)


def _gather(x: Tensor, runs: tuple[slice, ...]) -> Tensor:
    """The tokens of ``runs``: a view for a single run."""
    if len(runs) == 1:
        return x[:, runs[0]]
    return torch.cat([x[:, run] for run in runs], dim=1)
