"""Weights at rest in a byte each: whole numbers from -127 to 127, with one scale for every row (output) of a matrix.

Half of float16's bytes; the rounding is about 0.8% of a weight's size. With fewer levels (31: 3.2%) the bytes are as
many and compress further, in an archive or a repository; with seven or fewer (7: 14%) two rows share each byte, and
what is not packed is written in half precision beside them. Loading makes ordinary numbers of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from shotstream.core.errors import WeightsError

PACKED = (torch.int8, torch.uint8)  # what a packed matrix is stored as
SCALE = ".row_scale"  # what the scales' name ends in, behind that of their matrix
LARGEST = 127
WORTH = 2**14  # numbers in a matrix, from which on packing is worth its rounding
SHARED = 7  # largest whole number that leaves room for another in its byte
_SMALLEST_SCALE = 1e-12  # a row of zeros must not divide by zero


def pack(weight: Tensor, levels: int = LARGEST) -> tuple[Tensor, Tensor]:
    """[rows, ...] -> whole numbers int8 from -levels to levels in the same shape, and their scales, float32 [rows]."""
    rows = weight.float().flatten(1)
    scale = (rows.abs().amax(1) / levels).clamp(min=_SMALLEST_SCALE)
    return (rows / scale[:, None]).round().to(torch.int8).view(weight.shape), scale


def unpack(whole: Tensor, scale: Tensor) -> Tensor:
    """What :func:`pack` or :func:`stored` was given, rounded; float32."""
    if whole.dtype is torch.uint8:
        whole = _apart(whole)
    return (whole.flatten(1).float() * scale[:, None]).view(whole.shape)


def stored(weight: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """What :func:`pack` gives, as it lies in a file: uint8 [rows / 2, ...] where two rows can share a byte."""
    whole, scale = pack(weight, levels)
    return (_shared(whole) if shares_bytes(len(weight), levels) else whole), scale


def rest_dtype(levels: int) -> torch.dtype:
    """What numbers that are not packed are written in: beside half bytes they would be much of the file in float32."""
    return torch.float16 if levels <= SHARED else torch.float32


def shares_bytes(rows: int, levels: int) -> bool:
    """Do the ``rows`` of a matrix share bytes, two and two, when it is stored in ``levels``?"""
    return levels <= SHARED and rows % 2 == 0


def _shared(whole: Tensor) -> Tensor:
    """Even rows in the lower halves, odd rows in the upper."""
    halves = (whole + (SHARED + 1)).to(torch.uint8)
    return halves[0::2] | (halves[1::2] << 4)


def _apart(shared: Tensor) -> Tensor:
    """The whole numbers that :func:`_shared` put together."""
    halves = torch.stack([shared & 15, shared >> 4], dim=1).flatten(0, 1)
    return halves.to(torch.int8) - (SHARED + 1)


def rounded(weight: Tensor, levels: int) -> Tensor:
    """What :func:`pack` and :func:`unpack` leave of ``weight``, in its own number format and memory layout."""
    return torch.empty_like(weight).copy_(unpack(*pack(weight, levels)))


def matrix_names(module: nn.Module) -> frozenset[str]:
    """The parameters of ``module`` that are worth packing: what its linear layers and convolutions multiply by, where
    that is :data:`WORTH` numbers or more (rounding the few that draw pixels saves nothing and is seen)."""
    named = ((name, parameter) for name, parameter in module.named_parameters() if parameter.ndim > 1)
    return frozenset(name for name, one in named if name.rpartition(".")[2] == "weight" and one.numel() >= WORTH)


def unpacked(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """``tensors`` of the file ``source``, packed ones among them, as ordinary numbers. Raises :class:`WeightsError`."""
    names = [name for name, tensor in tensors.items() if tensor.dtype in PACKED]
    check_scales(names, tensors, source)
    plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    return plain | {name: unpack(tensors[name], tensors[name + SCALE]) for name in names}


def check_scales(packed: Iterable[str], there: Iterable[str], source: str) -> None:
    """Raise :class:`WeightsError` unless every ``packed`` tensor has its scales ``there``."""
    lost = sorted({name + SCALE for name in packed} - set(there))
    if lost:
        raise WeightsError(f"{source}: weights in bytes without their scales: {', '.join(lost)}; fetch it again")
