"""Learning weights that will be packed into few levels: passes and gradients are of the rounded ones.

The straight-through estimator (arXiv 1308.3432): what is stepped is the unrounded matrix, along the gradient at its
rounded image. Small steps add up until a number moves to its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from shotstream.core.packed import matrix_names, rounded
from shotstream.training.ema import hollow


@contextmanager
def rounded_weights(module: nn.Module, levels: int) -> Iterator[None]:
    """Meanwhile the matrices of ``module`` are rounded; a backward pass belongs inside, a step behind it."""
    parameters = [module.get_parameter(name) for name in sorted(matrix_names(module))]
    own = [parameter.data for parameter in parameters]
    for parameter in parameters:
        parameter.data = rounded(parameter.data, levels)
    try:
        yield
    finally:
        for parameter, values in zip(parameters, own, strict=True):
            parameter.data = values


def rounded_copy(module: nn.Module, levels: int) -> nn.Module:
    """``module`` with its matrices rounded; the rest is shared."""
    wanted = matrix_names(module)
    values = {name: rounded(value, levels) for name, value in module.named_parameters() if name in wanted}
    plain = hollow(module)
    plain.load_state_dict(module.state_dict() | values, assign=True)
    return plain.eval().requires_grad_(False)
