"""Do the tensors of a weight file fit a module? Everything that does not is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from shotstream.core.errors import WeightsError


class Shaped(Protocol):
    """A tensor, or what stands for one that has not been read."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def check_names_and_shapes(module: nn.Module, tensors: Mapping[str, Shaped], source: str) -> None:
    """Raise one :class:`WeightsError` that lists every missing, extra and misshaped tensor of ``source``."""
    expected = module.state_dict()
    faults = [f"missing {name}" for name in expected if name not in tensors]
    faults += [f"extra {name}" for name in tensors if name not in expected]
    faults += [
        f"{name} is {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in tensors.items()
        if name in expected and tuple(tensor.shape) != expected[name].shape
    ]
    if faults:
        raise WeightsError(f"{source}: not this model's weights: {'; '.join(faults)}")
