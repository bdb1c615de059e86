"""Linear layers of weights that are loaded and only read, fused: fewer matmuls, in the processor's own layout.

oneDNN keeps a weight matrix in blocks that fit its registers. Given rows as PyTorch stores them it reorders the
matrix in every call; reordered once, a small matmul takes two thirds of its time (development/log.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["none", "gelu"]

# Numbers of a matrix that is kept in both layouts: reordering a larger one is little beside its matmul.
_LARGEST_COPY = 1 << 22


def untouched(*layers: nn.Module) -> bool:
    """Whether they are linear layers as they were loaded: not learning, adapted, sharded or in int8."""
    return all(type(layer) is nn.Linear and not layer.weight.requires_grad for layer in layers)


@cache
def onednn_has_bfloat16() -> bool:
    """Whether torch was built with oneDNN, and oneDNN multiplies bfloat16 on this processor."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class FusedLinear:
    """activation(layer(x)) of linear layers that read the same x, as one matmul: their outputs side by side.

    Several layers' weights become views of one matrix. On a CPU with bfloat16 a copy of it in oneDNN's own layout is
    kept; it does not see what is written through ``weight.data``, so whoever does that makes another.
    """

    def __init__(self, *layers: nn.Linear, activation: Activation = "none") -> None:
        self.activation: Activation = activation
        self._weight, self._bias = _joined(layers)
        self._reordered: Tensor | None = None
        here = self._weight.device.type == "cpu" and self._weight.dtype == torch.bfloat16
        small = self._weight.numel() <= _LARGEST_COPY
        if here and small and untouched(*layers) and onednn_has_bfloat16():
            self._reordered = torch.ops.mkldnn._reorder_linear_weight(self._weight, None)
        self._made_of = _state(layers)

    def __deepcopy__(self, memo: dict[int, object]) -> None:
        """Nothing: a copied model has weights of its own, of which nothing was made."""

    def stands_for(self, *layers: nn.Module) -> bool:
        """Whether ``layers`` are those this was made of, and neither moved, replaced, learning nor written to."""
        return untouched(*layers) and _state(layers) == self._made_of

    def __call__(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out of all layers]."""
        if self._reordered is not None and x.dtype == torch.bfloat16:
            form = "tanh" if self.activation == "gelu" else ""
            product = torch.ops.mkldnn._linear_pointwise
            return cast(Tensor, product(x, self._reordered, self._bias, self.activation, [], form))
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y, approximate="tanh") if self.activation == "gelu" else y


def _state(layers: Iterable[nn.Module]) -> list[tuple[int, int, int]]:
    """Where each layer's weights and bias are, and how often the weights have been written to in place."""
    weights = [(cast(Tensor, layer.weight), cast(Tensor, layer.bias)) for layer in layers]
    return [(weight.data_ptr(), bias.data_ptr(), weight._version) for weight, bias in weights]


def _joined(layers: tuple[nn.Linear, ...]) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``layers`` one under the other; those of several become views of the two."""
    if len(layers) == 1:
        return layers[0].weight.detach(), layers[0].bias.detach()
    weight = torch.cat([layer.weight.detach() for layer in layers])
    bias = torch.cat([layer.bias.detach() for layer in layers])
    sizes = [layer.out_features for layer in layers]
    for layer, rows, part in zip(layers, weight.split(sizes), bias.split(sizes), strict=True):
        layer.weight.data, layer.bias.data = rows, part
    return weight, bias


def linear(fused: FusedLinear | None, layer: nn.Module, x: Tensor) -> Tensor:
    """layer(x), by what it was fused into if it was. Whoever runs the layers checks first that it still stands for
    them (:meth:`shotstream.models.layers.Layer.still_fused`)."""
    return cast(Tensor, layer(x)) if fused is None else fused(x)
