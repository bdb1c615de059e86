"""Matmul weights in eight bits while a model runs: half the memory of bfloat16, at some loss of accuracy.

``int8``, ``fp8``: a matrix is widened to the matmul's number format when its layer comes to it, and the scale of its
rows is applied to the outputs. So this saves memory, not time.
``fp8-matmuls``: held like fp8, and multiplied in fp8 too. Every token is scaled to the range of fp8 by its largest
number, as every row of the matrix is, and both scales are applied to the outputs.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from shotstream.checkpoints.quantisation import pack
from shotstream.core.errors import InputError
from shotstream.models.transformer import Transformer

EightBit = Literal["int8", "fp8", "fp8-matmuls"]
_FP8 = torch.float8_e4m3fn
_TRIED = 16  # tokens and widths of a product that is tried out: what kernels for fp8 want multiples of


class EightBitLinear(nn.Module):
    """A linear layer whose matrix is in eight bits. ``weight`` is empty: it only says in which number format the layer
    multiplies."""

    packed: Tensor  # [out, in]
    scale: Tensor  # [out] float32
    weight: Tensor

    def __init__(self, layer: nn.Linear, form: EightBit) -> None:
        super().__init__()
        packed, scale = pack(layer.weight) if form == "int8" else _floats(layer.weight)
        self.register_buffer("packed", packed)
        self.register_buffer("scale", scale)
        self.register_buffer("weight", layer.weight.new_empty(0), persistent=False)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.packed.to(x.dtype)) * self.scale.to(x.dtype)
        return y + self.bias.to(x.dtype)


class Fp8Linear(EightBitLinear):
    """The same, multiplied in eight bits."""

    def forward(self, x: Tensor) -> Tensor:
        rows, scale = _floats(x.flatten(0, -2))
        y = _fp8_product(rows, scale, self.packed, self.scale).to(x.dtype)
        return y.unflatten(0, x.shape[:-1]) + self.bias.to(x.dtype)


def keep_in_eight_bits(model: Transformer, form: EightBit) -> Transformer:
    """``model``, whose layers hold their matrices in eight bits from now on. All else stays as it is."""
    model.fuse_(False)
    kind = Fp8Linear if form == "fp8-matmuls" else EightBitLinear
    for layer in model.blocks:
        for name, module in list(layer.named_modules()):
            if isinstance(module, nn.Linear):
                parent, _, own = name.rpartition(".")
                layer.get_submodule(parent).register_module(own, kind(module, form))
    return model.requires_grad_(False)


def check_eight_bit(form: EightBit | None, device: torch.device) -> None:
    """Raise :class:`InputError` for a ``form`` that is none, or asks what ``device`` cannot do: hold fp8, or multiply
    in it."""
    if form not in (None, *get_args(EightBit)):
        raise InputError(f"eight_bit {form!r:.40}: use one of {', '.join(get_args(EightBit))}")
    if form in ("fp8", "fp8-matmuls") and not _holds_fp8(device):
        raise InputError(f"eight_bit {form}: {device} knows no fp8; take int8, in the same memory")
    if form == "fp8-matmuls" and not (device.type == "cuda" and _multiplies_fp8(device)):
        raise InputError(
            f"eight_bit {form}: needs a CUDA GPU that multiplies in fp8 with a scale for every row (Hopper or newer), "
            f"and torch 2.10; {device} does not. Take fp8: the same memory, matmuls in bfloat16"
        )


def _holds_fp8(device: torch.device) -> bool:
    try:
        torch.ones(1, device=device).to(_FP8).float().item()
    except (RuntimeError, TypeError):
        return False
    return True


def _multiplies_fp8(device: torch.device) -> bool:
    """Asked by doing it: which GPUs and versions can is in no table that stays true."""
    ones = torch.ones(_TRIED, _TRIED, device=device)
    try:
        _fp8_product(*_floats(ones), *_floats(ones)).sum().item()
    except (RuntimeError, AttributeError):  # no kernel, or a torch without the function
        return False
    return True


def _fp8_product(rows: Tensor, row_scale: Tensor, matrix: Tensor, matrix_scale: Tensor) -> Tensor:
    """[tokens, in] and [out, in], both fp8 with a scale for every row -> [tokens, out] bfloat16."""
    by_row = functional.ScalingType.RowWise
    return functional.scaled_mm(
        rows,
        matrix.t(),
        row_scale[:, None],
        by_row,
        matrix_scale[None],
        by_row,
        output_dtype=torch.bfloat16,
        use_fast_accum=True,
    )


def _floats(rows: Tensor) -> tuple[Tensor, Tensor]:
    """[N, in] -> the same in 8-bit floating point (e4m3), each row scaled to its range, and the scales [N]."""
    rows = rows.float()
    scale = (rows.abs().amax(1) / torch.finfo(_FP8).max).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scale[:, None]).to(_FP8), scale
