"""Reads FP8 weights, plain or with a scale per tensor or per row."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

from shotstream.checkpoints.lazy_tensor import LazyTensor, computed, narrowed
from shotstream.core.errors import WeightsError

FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)
# Behind a layer's name: the weight's scale as ComfyUI, its later versions and others call it; what only the speed of
# the products in eight bits is about; and a note of the layout.
_SCALES = ("scale_weight", "weight_scale", "weight.scale", "weight_scale_inv")
_IDLE = ("scale_input", "input_scale", "scale_output", "output_scale")
_NOTE, _MARKER = "comfy_quant", "scaled_fp8"


def plain(tensors: Mapping[str, LazyTensor], source: str) -> dict[str, LazyTensor]:
    """``tensors`` with those in eight bits as ordinary numbers: bfloat16, which holds each of them, or float32 where
    a scale is applied. Raises :class:`WeightsError` for other layouts of few bits."""
    if not any(tensor.dtype in FP8 for tensor in tensors.values()):
        return dict(tensors)
    result: dict[str, LazyTensor] = {}
    used: set[str] = set()
    for name, tensor in tensors.items():
        layer = name.removesuffix(".weight")
        scale = next((one for end in _SCALES if (one := f"{layer}.{end}") in tensors), None)
        if tensor.dtype not in FP8:
            result[name] = tensor
        elif scale is None:
            result[name] = narrowed(tensor, torch.bfloat16)
        else:
            used.add(scale)
            result[name] = _scaled(name, tensor, tensors[scale], source)
    return {name: tensor for name, tensor in result.items() if name not in used and not _idle(name, tensor, source)}


def _idle(name: str, tensor: LazyTensor, source: str) -> bool:
    """Does ``name`` say nothing about the weights' values?"""
    end = name.rpartition(".")[2]
    if end == _NOTE:
        _check_note(tensor, source)
    return end in (*_IDLE, _NOTE, _MARKER)


def _check_note(tensor: LazyTensor, source: str) -> None:
    try:
        form = str(json.loads(bytes(tensor.read().to(torch.uint8).tolist()))["format"])
    except (ValueError, KeyError, TypeError):
        form = "unknown"
    if not form.startswith("float8"):
        raise WeightsError(f"{source}: quantised as {form}, which is not supported; give other weights")


def _scaled(name: str, tensor: LazyTensor, scale: LazyTensor, source: str) -> LazyTensor:
    rows = tensor.shape[0] if tensor.shape else 1
    shape = tuple(size for size in scale.shape if size != 1)
    if shape not in ((), (rows,)):
        raise WeightsError(
            f"{source}: {name}: scales of shape {list(scale.shape)} are not supported; one, or one a row"
        )

    def numbers() -> Tensor:
        factors = scale.read().float().reshape(-1, *([1] * (len(tensor.shape) - 1)))
        return tensor.read().float() * factors

    return computed(numbers, torch.float32, tensor.shape)
