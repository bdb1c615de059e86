"""Exponential moving average of a module's weights: what is evaluated and shipped (EDM2; Self-Forcing uses 0.99)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from shotstream.training.sharding import local, whole


class Ema:
    """A float32 shadow of ``module``'s state. In its first updates it follows faster, so that it forgets the start.

    What never learns is shared with the module. Where the module's tensors are sharded, so are these: they are split
    as the module is when the average begins.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._hollow = hollow(module)
        self.values: dict[str, Tensor] = {}
        self._shared: set[str] = set()
        self._followed: list[str] = []

    def begin(self, module: nn.Module) -> None:
        """Start from the weights as they are, spread over processes as they now are."""
        self._shared = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        state = {name: value.detach() for name, value in module.state_dict().items()}
        self.values = {name: value if name in self._shared else value.clone() for name, value in state.items()}
        self._followed = [
            name for name, value in state.items() if name not in self._shared and value.is_floating_point()
        ]

    @property
    def own(self) -> dict[str, Tensor]:
        """The values that are not the module's own."""
        return {name: value for name, value in self.values.items() if name not in self._shared}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        state = module.state_dict()
        ours = [self.values[name] for name in self._followed]
        torch._foreach_lerp_(local(ours), local([state[name] for name in self._followed]), 1 - decay)

    def averaged(self) -> nn.Module:
        """The module with the averaged weights, whole, for looking and releasing; all processes must ask."""
        self._hollow.load_state_dict(whole(self.values), assign=True)
        return self._hollow.eval().requires_grad_(False)


def hollow(module: nn.Module) -> nn.Module:
    """A copy of ``module`` whose parameters have shapes and no memory."""
    shapes = {id(one): nn.Parameter(torch.empty_like(one, device="meta"), False) for one in module.parameters()}
    return copy.deepcopy(module, shapes)
