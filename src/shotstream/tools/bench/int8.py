"""Linear layers in int8, to see whether they win: weights rounded once per output, activations per token on the way.

Axes: T tokens.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from shotstream.models.transformer import Transformer

LARGEST = 127


class Int8Linear(nn.Linear):
    """``linear`` with its product in int8: scales found, rounded, multiplied, scaled back."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        levels, steps = rounded(linear.weight)
        self.levels, self.steps = levels.t(), steps

    def forward(self, x: Tensor) -> Tensor:
        levels, steps = rounded(x.flatten(0, -2))
        product = torch._int_mm(levels, self.levels) * steps[:, None]
        return torch.addcmul(self.bias.float(), product, self.steps).to(x.dtype).unflatten(0, x.shape[:-1])


def rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of ``x`` [T, n] as int8 levels, and the step of each row, [T] float32."""
    x = x.float()
    steps = x.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
    return (x / steps[:, None]).round_().to(torch.int8), steps


def in_int8(model: Transformer) -> Transformer:
    """A copy of ``model`` whose layers multiply in int8; the layers around them stay as they are."""
    copied = copy.deepcopy(model)
    for name, module in list(copied.blocks.named_modules()):
        if isinstance(module, nn.Linear):
            copied.blocks.set_submodule(name, Int8Linear(module))
    return copied
