"""Attention kernels, chosen by name. Visibility of frames is resolved into segments; only captions need a mask.

``softmax`` is written out; the others are PyTorch's fused attention: ``sdpa`` leaves the choice to it, ``flash``,
``cudnn``, ``efficient`` and ``math`` insist on one of its own kernels, which not every device has. ``fa3`` and ``fa4``
are FlashAttention 3 and 4, which are installed beside PyTorch and take the place of its flash kernel.

Axes: B batch, Q query tokens, K key tokens, H heads, D head width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import attention
from torch.nn.attention import SDPBackend, sdpa_kernel

from shotstream.core.errors import InputError

Queries = Annotated[Tensor, "B Q H D"]
Keys = Annotated[Tensor, "B K H D"]
Bias = Annotated[Tensor, "B K"]

Backend = Literal["auto", "softmax", "sdpa", "flash", "fa3", "fa4", "cudnn", "efficient", "math"]

# Flash kernels that are installed beside PyTorch, by the names it knows them by.
_INSTALLED: dict[str, str] = {"fa3": "FA3", "fa4": "FA4"}

# Score matrices above this many numbers are left to the fused kernel, which never stores them.
_LARGEST_SCORES = 1 << 25


def softmax_attention(q: Queries, k: Keys, v: Keys, bias: Bias | None = None) -> Queries:
    """softmax(q k^T / sqrt(D) + bias) v, written out: on CPU faster than the fused kernel at some hundred tokens."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias[:, None, None].to(scores.dtype)
    return (scores.softmax(-1) @ v).transpose(1, 2)


def sdpa_attention(q: Queries, k: Keys, v: Keys, bias: Bias | None = None) -> Queries:
    """PyTorch's fused scaled dot-product attention."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    mask = None if bias is None else bias[:, None, None].to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def _insisting_on(choice: SDPBackend) -> Kernel:
    """:func:`sdpa_attention` by one of its kernels alone; raises RuntimeError where there is none. No flash kernel
    knows masks: what has one (captions of several lengths) is left to PyTorch."""

    def kernel(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        if bias is not None and choice is SDPBackend.FLASH_ATTENTION:
            return sdpa_attention(q, k, v, bias)
        with sdpa_kernel(choice):
            return sdpa_attention(q, k, v, bias)

    return kernel


_KERNELS: dict[str, Kernel] = {
    "softmax": softmax_attention,
    "sdpa": sdpa_attention,
    **dict.fromkeys(("flash", *_INSTALLED), _insisting_on(SDPBackend.FLASH_ATTENTION)),
    "cudnn": _insisting_on(SDPBackend.CUDNN_ATTENTION),
    "efficient": _insisting_on(SDPBackend.EFFICIENT_ATTENTION),
    "math": _insisting_on(SDPBackend.MATH),
}


def use_flash_of(backend: Backend) -> None:
    """Let PyTorch's flash attention be what ``backend`` asks for: FlashAttention 3 or 4, or its own. It is one for the
    whole process, so every pass sets it. Raises RuntimeError where it is not installed."""
    wanted = _INSTALLED.get(backend)
    if wanted == _active():
        return
    if wanted is None:
        attention.restore_flash_attention_impl()
        return
    try:
        attention.activate_flash_attention_impl(wanted)
    except (AttributeError, ImportError, ValueError) as fault:  # a torch without the switch, or no such kernel here
        raise RuntimeError(f"{wanted} cannot be used here: {fault}") from fault


def _active() -> str | None:
    """Which of the installed kernels is in use; a torch before 2.11 knows none."""
    if not hasattr(attention, "current_flash_attention_impl"):
        return None
    return attention.current_flash_attention_impl()


def check_backend(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> None:
    """Raise :class:`InputError`, which names those that do, unless ``backend`` works on this device."""
    if backend in get_args(Backend) and _works(backend, device, dtype, head_dim):
        return
    working = [name for name in get_args(Backend) if _works(name, device, dtype, head_dim)]
    installed = f" (is {_INSTALLED[backend]} installed?)" if backend in _INSTALLED else ""
    raise InputError(
        f"no attention kernel {backend!r} for {device} in {dtype}{installed}; use one of {', '.join(working)}"
    )


def _works(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    tokens = torch.zeros(1, 8, 1, head_dim, device=device, dtype=dtype)
    try:
        with warnings.catch_warnings(action="ignore"):  # it lists every kernel's reason for not being there
            use_flash_of(backend)
            attend(tokens, tokens, tokens, backend)
    except (RuntimeError, AssertionError):
        return False
    finally:
        use_flash_of("auto")
    return True


def default_backend(q: Tensor, k: Tensor) -> Literal["softmax", "sdpa"]:
    """Written-out attention for small problems on CPU, the fused kernel everywhere else."""
    scores = q.shape[0] * q.shape[1] * k.shape[1] * q.shape[2]
    return "softmax" if q.device.type == "cpu" and scores <= _LARGEST_SCORES else "sdpa"


def attend(q: Queries, k: Keys, v: Keys, backend: Backend = "auto", bias: Bias | None = None) -> Queries:
    """Attention of q over k and v; ``bias`` is added to every score."""
    return _KERNELS[default_backend(q, k) if backend == "auto" else backend](q, k, v, bias)


TokenSegment = tuple[slice, tuple[slice, ...]]


def attend_segments(q: Queries, k: Keys, v: Keys, plan: Sequence[TokenSegment], backend: Backend = "auto") -> Queries:
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
