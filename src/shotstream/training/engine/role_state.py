"""The state of one role: weights, LoRA adapters, optimiser, average, sharding."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from shotstream.checkpoints.quantisation import LEVELS, matrix_names, rounded
from shotstream.checkpoints.safetensors_file import write_safetensors
from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.training.distributed import Processes, local, shard_like, spread, whole
from shotstream.training.engine.optimisers import RoleOptimiser
from shotstream.training.engine.stage import LoopSettings, LoraSettings, Role


class RoleState:
    """A role made ready to learn: adapters put in, on its device, spread over the processes."""

    def __init__(self, name: str, role: Role, loop: LoopSettings, processes: Processes) -> None:
        self.role = role
        self.module = role.module.to(processes.device)
        if role.optimiser.lora:
            add_adapters(self.module, role.optimiser.lora)
        if role.optimiser.quantised and loop.sharded:
            raise InputError(f"{name}: quantised does not go with sharded: a shard sees parts of rows; take one out")
        self.average = Ema(self.module, role.optimiser.ema)
        self.spread = spread(name, self.module, role.optimiser, loop, processes)
        self.average.begin(self.module)
        self.optimiser = RoleOptimiser(self.module, role.optimiser)

    def step(self, factor: float) -> float:
        """Descend the gathered gradients, average the weights; the gradient's norm before clipping."""
        norm = self.optimiser.step(factor)
        self.average.update(self.module)
        return norm

    def as_released(self) -> AbstractContextManager[None]:
        """Meanwhile its passes are of what will be released: quantised weights, where its recipe says so."""
        form = self.role.optimiser.quantised
        return rounded_weights(self.module, LEVELS[form]) if form else nullcontext()

    def settled(self, averaged: nn.Module) -> nn.Module:
        """The averaged weights as they are left: adapters merged into them, or quantised, if the recipe says so."""
        if self.role.optimiser.quantised:
            return rounded_copy(averaged, LEVELS[self.role.optimiser.quantised])
        return with_adapters_added(averaged) if self.role.optimiser.lora else averaged

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


@contextmanager
def rounded_weights(module: nn.Module, largest: int) -> Iterator[None]:
    """Meanwhile the matrices of ``module`` are rounded; a backward pass belongs inside, a step behind it.

    This is the straight-through estimator (arXiv 1308.3432): the optimiser steps the unrounded matrix along the
    gradient at its rounded image, and small steps add up until a number moves to its neighbour.
    """
    parameters = [module.get_parameter(name) for name in sorted(matrix_names(module))]
    own = [parameter.data for parameter in parameters]
    for parameter in parameters:
        parameter.data = rounded(parameter.data, largest)
    try:
        yield
    finally:
        for parameter, values in zip(parameters, own, strict=True):
            parameter.data = values


def rounded_copy(module: nn.Module, largest: int) -> nn.Module:
    """``module`` with its matrices rounded; the rest is shared."""
    wanted = matrix_names(module)
    values = {name: rounded(value, largest) for name, value in module.named_parameters() if name in wanted}
    plain = hollow(module)
    plain.load_state_dict(module.state_dict() | values, assign=True)
    return plain.eval().requires_grad_(False)


_ADAPTER = re.compile(r"\.(lora_[AB])\.default\.")
_PEFT_PREFIX = "base_model.model."


def add_adapters(module: nn.Module, settings: LoraSettings) -> None:
    """Put adapters into ``module``, in place, and freeze the rest. A new adapter changes nothing yet.

    Raises :class:`InputError` if peft is not installed or the module has no layers to adapt.
    """
    peft = _peft()
    targets = [name for name, part in module.named_modules() if isinstance(part, nn.Linear) and "blocks." in name]
    if not targets:
        raise InputError("lora: this role has no transformer layers; take lora out of its recipe")
    config = peft.LoraConfig(r=settings.rank, lora_alpha=settings.alpha or settings.rank, target_modules=targets)
    peft.inject_adapter_in_model(config, module)


def with_adapters_added(module: nn.Module) -> nn.Module:
    """A copy of ``module`` in which adapters are added to the weights they adapt: W + (alpha / r) B A."""
    from peft.tuners.lora import LoraLayer

    plain = copy.deepcopy(module)
    for name, part in list(plain.named_modules()):
        if isinstance(part, LoraLayer):
            part.merge()
            parent, _, place = name.rpartition(".")
            setattr(plain.get_submodule(parent), place, part.get_base_layer())
    return plain


def export_adapters(module: nn.Module, folder: Path, settings: LoraSettings) -> None:
    """Write the adapters of ``module`` into ``folder`` in peft's own layout, for other programs to load."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {
        _PEFT_PREFIX + _ADAPTER.sub(r".\1.", name): value.detach().cpu().contiguous()
        for name, value in module.state_dict().items()
        if _ADAPTER.search(name)
    }
    write_safetensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    described = {
        "peft_type": "LORA",
        "r": settings.rank,
        "lora_alpha": settings.alpha or settings.rank,
        "target_modules": sorted({name.removeprefix(_PEFT_PREFIX).rsplit(".lora_", 1)[0] for name in tensors}),
    }
    write_text(folder / "adapter_config.json", json.dumps(described, indent=2) + "\n")


def _peft() -> ModuleType:
    try:
        import peft
    except ImportError as fault:
        raise InputError("lora needs peft; install it with: pip install 'shotstream[train]'") from fault
    return peft
