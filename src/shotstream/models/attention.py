"""Attention kernels, chosen by name. None takes a mask: visibility is resolved into segments beforehand.

``softmax`` is written out; the others are PyTorch's fused attention: ``sdpa`` leaves the choice to it, ``flash``,
``cudnn``, ``efficient`` and ``math`` insist on one of its own kernels, which not every device has.

Axes: B batch, Q query tokens, K key tokens, H heads, D head width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from shotstream.core.errors import InputError

Backend = Literal["auto", "softmax", "sdpa", "flash", "cudnn", "efficient", "math"]

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


Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


def _insisting_on(choice: SDPBackend) -> Kernel:
    """:func:`sdpa_attention` by one of its kernels alone; raises RuntimeError where there is none."""

    def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(choice):
            return sdpa_attention(q, k, v)

    return kernel


_KERNELS: dict[str, Kernel] = {
    "softmax": softmax_attention,
    "sdpa": sdpa_attention,
    "flash": _insisting_on(SDPBackend.FLASH_ATTENTION),
    "cudnn": _insisting_on(SDPBackend.CUDNN_ATTENTION),
    "efficient": _insisting_on(SDPBackend.EFFICIENT_ATTENTION),
    "math": _insisting_on(SDPBackend.MATH),
}


def check_backend(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> None:
    """Raise :class:`InputError`, which names those that do, unless ``backend`` works on this device."""
    if backend in get_args(Backend) and _works(backend, device, dtype, head_dim):
        return
    working = [name for name in get_args(Backend) if _works(name, device, dtype, head_dim)]
    raise InputError(f"no attention kernel {backend!r} for {device} in {dtype}; use one of {', '.join(working)}")


def _works(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    tokens = torch.zeros(1, 8, 1, head_dim, device=device, dtype=dtype)
    try:
        with warnings.catch_warnings(action="ignore"):  # it lists every kernel's reason for not being there
            attend(tokens, tokens, tokens, backend)
    except RuntimeError:
        return False
    return True


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
