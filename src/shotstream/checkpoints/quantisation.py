"""Quantised weights, int8 and int4: whole numbers with one scale for every row of a matrix.

``int8``: a byte each, -127 to 127; half of float16's bytes, and the rounding is about 0.8% of a weight's size.
``int4``: -7 to 7, two rows share each byte; a quarter, and 14%: for weights that were trained through the rounding
(quantisation-aware training); what is not quantised is written in half precision beside them.
Loading makes ordinary numbers of all. Files of other ranges, as they were written before the forms had names, are
read alike: the scales say it.

While a model runs, its layers may hold their matrices in eight bits: half the memory of bfloat16, at some loss of
accuracy. ``int8``, ``fp8``: a matrix is widened to the matmul's number format when its layer comes to it, and the
scale of its rows is applied to the outputs. So this saves memory, not time. ``fp8-matmuls``: held like fp8, and
multiplied in fp8 too. Every token is scaled to the range of fp8 by its largest number, as every row of the matrix is,
and both scales are applied to the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from shotstream.checkpoints.safetensors_file import LazyTensor, computed
from shotstream.core.errors import InputError, WeightsError
from shotstream.models.transformer import Transformer

Form = Literal["int8", "int4"]
LEVELS: dict[Form, int] = {"int8": 127, "int4": 7}  # largest whole number of each
LARGEST = LEVELS["int8"]
PACKED = (torch.int8, torch.uint8)  # what a quantised matrix is stored as
SCALE = ".row_scale"  # what the scales' name ends in, behind that of their matrix
WORTH = 2**14  # numbers in a matrix, from which on quantising is worth its rounding
_SHARED = LEVELS["int4"]
_SMALLEST_SCALE = 1e-12  # a row of zeros must not divide by zero


def pack(weight: Tensor, largest: int = LARGEST) -> tuple[Tensor, Tensor]:
    """[rows, ...] -> int8 from -largest to largest in the same shape, and their scales, float32 [rows]."""
    rows = weight.float().flatten(1)
    scale = (rows.abs().amax(1) / largest).clamp(min=_SMALLEST_SCALE)
    return (rows / scale[:, None]).round().to(torch.int8).view(weight.shape), scale


def unpack(whole: Tensor, scale: Tensor) -> Tensor:
    """What :func:`pack` or :func:`stored` was given, rounded; float32."""
    if whole.dtype is torch.uint8:
        whole = _apart(whole)
    return (whole.flatten(1).float() * scale.float()[:, None]).view(whole.shape)


def stored(weight: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """What :func:`pack` gives, as it lies in a file: uint8 [rows / 2, ...] where two rows can share a byte."""
    whole, scale = pack(weight, LEVELS[form])
    return (_shared(whole) if _shares_bytes(len(weight), form) else whole), scale


def rounded(weight: Tensor, largest: int) -> Tensor:
    """What :func:`pack` and :func:`unpack` leave of ``weight``, in its own number format and memory layout."""
    return torch.empty_like(weight).copy_(unpack(*pack(weight, largest)))


def rest_dtype(form: Form) -> torch.dtype:
    """What numbers that are not quantised are written in: in float32 they would be much of an int4 file."""
    return torch.float16 if form == "int4" else torch.float32


def quantised(name: str, tensor: LazyTensor, form: Form) -> dict[str, LazyTensor]:
    """``tensor`` called ``name`` in ``form``, and its scales."""
    kind, shape = torch.int8, tensor.shape
    if _shares_bytes(shape[0], form):
        kind, shape = torch.uint8, (shape[0] // 2, *shape[1:])
    return {
        name: computed(lambda: stored(tensor.read(), form)[0], kind, shape),
        name + SCALE: computed(lambda: stored(tensor.read(), form)[1], rest_dtype(form), tensor.shape[:1]),
    }


def unpacked(tensors: Mapping[str, LazyTensor], source: str) -> dict[str, LazyTensor]:
    """``tensors`` of the file ``source``, quantised ones among them as ordinary numbers. Raises
    :class:`WeightsError`."""
    names = [name for name, tensor in tensors.items() if tensor.dtype in PACKED]
    check_scales(names, tensors, source)
    plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    return plain | {name: _plain(tensors[name], tensors[name + SCALE]) for name in names}


def check_scales(packed: Iterable[str], there: Iterable[str], source: str) -> None:
    """Raise :class:`WeightsError` unless every ``packed`` tensor has its scales ``there``."""
    lost = sorted({name + SCALE for name in packed} - set(there))
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise WeightsError(f"{source}: weights in bytes without their scales: {lost[0]}{more}; fetch it again")


def matrix_names(module: nn.Module) -> frozenset[str]:
    """The parameters of ``module`` that are worth quantising: what its linear layers and convolutions multiply by,
    where that is :data:`WORTH` numbers or more (rounding the few that draw pixels saves nothing and is seen)."""
    named = ((name, parameter) for name, parameter in module.named_parameters() if parameter.ndim > 1)
    return frozenset(name for name, one in named if name.rpartition(".")[2] == "weight" and one.numel() >= WORTH)


def _plain(whole: LazyTensor, scale: LazyTensor) -> LazyTensor:
    return computed(lambda: unpack(whole.read(), scale.read()), torch.float32, (*scale.shape, *whole.shape[1:]))


def _shares_bytes(rows: int, form: Form) -> bool:
    """Do the ``rows`` of a matrix share bytes, two and two?"""
    return form == "int4" and rows % 2 == 0


def _shared(whole: Tensor) -> Tensor:
    """Even rows in the lower halves, odd rows in the upper."""
    halves = (whole + (_SHARED + 1)).to(torch.uint8)
    return halves[0::2] | (halves[1::2] << 4)


def _apart(shared: Tensor) -> Tensor:
    """The whole numbers that :func:`_shared` put together."""
    halves = torch.stack([shared & 15, shared >> 4], dim=1).flatten(0, 1)
    return halves.to(torch.int8) - (_SHARED + 1)


EightBit = Literal["int8", "fp8", "fp8-matmuls"]
_FP8 = torch.float8_e4m3fn
_TRIED = 16  # tokens and widths of a matmul that is tried out: what kernels for fp8 want multiples of


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
        y = _fp8_matmul(rows, scale, self.packed, self.scale).to(x.dtype)
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
    """Tries one fp8 matmul: tables of supported GPUs and versions go out of date."""
    ones = torch.ones(_TRIED, _TRIED, device=device)
    try:
        _fp8_matmul(*_floats(ones), *_floats(ones)).sum().item()
    except (RuntimeError, AttributeError):  # no kernel, or a torch without the function
        return False
    return True


def _fp8_matmul(rows: Tensor, row_scale: Tensor, matrix: Tensor, matrix_scale: Tensor) -> Tensor:
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
