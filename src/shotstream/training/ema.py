"""Exponential moving average of a module's weights: what is evaluated and shipped (EDM2; Self-Forcing uses 0.99)."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A float32 shadow of ``module``. In its first updates it follows faster, so that it forgets the start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        ours = [value for value in self.module.state_dict().values() if value.is_floating_point()]
        theirs = [value for value in module.state_dict().values() if value.is_floating_point()]
        torch._foreach_lerp_(ours, theirs, 1 - decay)
