"""Everything one role must remember between updates, as one thing: weights, optimiser, average, and their spread."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from shotstream.core.errors import InputError
from shotstream.training.ema import Ema
from shotstream.training.lora import add_adapters, merged
from shotstream.training.optimisers import RoleOptimiser
from shotstream.training.processes import Processes
from shotstream.training.rounding import rounded_copy, rounded_weights
from shotstream.training.settings import LoopSettings
from shotstream.training.sharding import shard_like, spread
from shotstream.training.stage import Role


class RoleState:
    """A role made ready to learn: adapters put in, on its device, spread over the processes."""

    def __init__(self, name: str, role: Role, loop: LoopSettings, processes: Processes) -> None:
        self.role = role
        self.module = role.module.to(processes.device)
        if role.optimiser.lora:
            add_adapters(self.module, role.optimiser.lora)
        if role.optimiser.levels and loop.sharded:
            raise InputError(f"{name}: a shard does not know its rows' largest numbers; take out levels or sharded")
        self.average = Ema(self.module, role.optimiser.ema)
        self.spread = spread(name, self.module, role.optimiser, loop, processes)
        self.average.begin(self.module)
        self.optimiser = RoleOptimiser(self.module, role.optimiser)

    def step(self, factor: float) -> float:
        """Descend the gathered gradients, average the weights; the gradient's norm before clipping."""
        norm = self.optimiser.step(factor)
        self.average.update(self.module)
        return norm

    def as_packed(self) -> AbstractContextManager[None]:
        """Meanwhile its passes are of what will be left of it: rounded weights, where its recipe says so."""
        levels = self.role.optimiser.levels
        return rounded_weights(self.module, levels) if levels else nullcontext()

    def settled(self, averaged: nn.Module) -> nn.Module:
        """The averaged weights as they are left: adapters merged into them, or rounded, if the recipe says so."""
        if self.role.optimiser.levels:
            return rounded_copy(averaged, self.role.optimiser.levels)
        return merged(averaged) if self.role.optimiser.lora else averaged

    def alone(self) -> dict[str, Any]:
        """The state as one process writes it."""
        return {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "average_updates": self.average.updates,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`alone` gave to one process; every process must have it."""
        with torch.no_grad():
            for ours, theirs in ((self.module.state_dict(), "module"), (self.average.values, "average")):
                _fill(ours, state[theirs])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.updates = state["average_updates"]

    def tensors(self) -> dict[str, Tensor]:
        """The state as flat names and tensors, whole or sharded; writing to them writes to the state."""
        return {
            **{f"module.{name}": value for name, value in self.module.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.own.items()},
            **{f"optimiser.{name}": value for name, value in self.optimiser.moments().items()},
        }


def _fill(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    if ours.keys() != theirs.keys():
        other = sorted(ours.keys() ^ theirs.keys())[0]
        raise InputError(f"{other}: the checkpoint is of another network; train in another folder (--out)")
    for name, value in ours.items():
        value.copy_(shard_like(theirs[name], value))
