"""Training on several processes: those torchrun has started, and a role's network replicated or sharded among them.

Sharded by FSDP2 (arXiv 2304.11277), weights, gradients, averages and the optimiser's moments are split among the
processes. Every matmul is a unit of its own, so that the matmuls alone are gathered in half precision while
norms, modulation and timestep layers stay float32, as everywhere in this house. All units are gathered before an update
and split again after it; in between processes may do different things (other lengths of shots, a rollout here and none
there), because gradients meet once, at the end, in an order that is the same everywhere.

Axes: none; parameters of any shape.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from shotstream.core.devices import pick_dtype
from shotstream.core.errors import InputError
from shotstream.models.transformer import Transformer
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings

CPU = torch.device("cpu")
PATIENCE = timedelta(hours=12)  # the first process may draw and code the data while the others wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """This process, ``rank`` of ``count``, and the device it computes on. Verbs are called by all of them alike."""

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """The one that writes pictures, curves and releases."""
        return self.rank == 0

    def parts(self, accumulate: int) -> range:
        """The parts of an update that are this process's: together they are what one process would have computed."""
        return range(self.rank, accumulate, self.count)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first process does the body, then the others: what it made on the disk is there for them."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def exchange(self, said: Any) -> list[Any]:
        """What every process says, by rank. It travels as JSON: numbers, strings, lists and mappings of these."""
        if self.count == 1:
            return [said]
        words = torch.frombuffer(bytearray(json.dumps(said).encode()), dtype=torch.uint8).to(self.device)
        lengths = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.count)]
        dist.all_gather(lengths, torch.tensor([len(words)], device=self.device))
        longest = max(int(length) for length in lengths)
        heard = [torch.zeros(longest, dtype=torch.uint8, device=self.device) for _ in range(self.count)]
        dist.all_gather(heard, torch.nn.functional.pad(words, (0, longest - len(words))))
        return [json.loads(bytes(one[: int(n)].tolist())) for one, n in zip(heard, lengths, strict=True)]

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Every parameter's gradient, summed over all processes; one that nobody has stays None."""
        if self.count == 1 or not parameters:
            return
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        given = torch.tensor([one.grad is not None for one in parameters], dtype=grads[0].dtype, device=self.device)
        flat = torch.cat([given, *(grad.flatten() for grad in grads)])
        dist.all_reduce(flat)
        sums = flat[len(parameters) :].split([one.numel() for one in parameters])
        for parameter, total, anyone in zip(parameters, sums, flat, strict=False):
            parameter.grad = total.view_as(parameter) if anyone > 0 else None


ALONE = Processes()


def check_parts(accumulate: int, count: int) -> None:
    """Raises :class:`InputError` if an update's parts cannot be shared evenly by ``count`` processes."""
    if accumulate % count:
        raise InputError(
            f"loop.accumulate={accumulate} parts cannot be shared by {count} processes evenly; set loop.accumulate to "
            f"a multiple of {count}, or start another number of processes"
        )


@contextmanager
def joined(*, gpu: bool = True) -> Iterator[Processes]:
    """This process among those torchrun has started, else alone; on a GPU of its own, if there are any and ``gpu``."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    device = CPU
    if gpu and torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(device=device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(rank=dist.get_rank(), count=count, device=device)
    finally:
        dist.destroy_process_group()


class Spread(Protocol):
    """How one role lies over the processes."""

    def gather(self) -> None:
        """Before an update: what passes need."""

    def settle(self) -> None:
        """After an update's passes: split again."""

    def reduce(self, parameters: Sequence[Tensor]) -> None:
        """After the last backward of the role whose turn it is: the gradients of all processes, summed."""


class Replicated:
    """The whole network in every process; any optimiser."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def gather(self) -> None:
        """Everything is here."""

    def settle(self) -> None:
        """Nothing is split."""

    def reduce(self, parameters: Sequence[Tensor]) -> None:
        self._processes.sum_gradients(parameters)


class Sharded:
    """A transformer in shards; made in place. Its parameters are DTensors outside of an update."""

    def __init__(self, module: Transformer, mesh: DeviceMesh, dtype: torch.dtype) -> None:
        narrow = dtype if dtype is torch.bfloat16 else None
        policy = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
        self._matmuls = _matmuls(module)
        for matmul in self._matmuls:
            fully_shard(matmul, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
        self._root = fully_shard(module, mesh=mesh, reshard_after_forward=False)
        register_fsdp_forward_method(module, "encode_captions")
        self._root.set_reshard_after_backward(False)
        self._root.set_reduce_scatter_unused_params(True)
        self._root.set_requires_gradient_sync(False)
        self._processes = mesh.size()
        self._units = [unit for unit in module.modules() if isinstance(unit, FSDPModule)]
        # Its mend is for units that are freed between passes and gathered again; ours stay gathered.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)

    def gather(self) -> None:
        for unit in self._units:
            unit.unshard()

    def settle(self) -> None:
        for unit in self._units:
            unit.reshard()

    def reduce(self, parameters: Sequence[Tensor]) -> None:
        """One more, empty backward: at its end FSDP brings the gradients of all its units together."""
        self._root.set_requires_gradient_sync(True)
        anchor = next(matmul for matmul in self._matmuls if matmul.weight.requires_grad)
        nothing = anchor.weight.new_zeros(1, anchor.in_features)
        (0.0 * anchor(nothing).sum()).backward()
        self._root.set_requires_gradient_sync(False)
        for parameter in parameters:  # FSDP has taken the mean
            if parameter.grad is not None:
                parameter.grad.mul_(self._processes)


def spread(
    name: str, module: nn.Module, optimiser: OptimiserSettings, loop: LoopSettings, processes: Processes
) -> Spread:
    """``module``, the role ``name``, spread as its recipe says. Raises :class:`InputError` for what cannot be."""
    if processes.count == 1:
        return Replicated(processes)
    check_parts(loop.accumulate, processes.count)
    if not loop.sharded:
        return Replicated(processes)
    if not isinstance(module, Transformer):
        raise InputError(f"loop.sharded: {name} is no transformer; set loop.sharded=false, each process holds it whole")
    if optimiser.kind == "muon":
        raise InputError(
            f"loop.sharded: {name} learns by Muon, which needs whole matrices; set {name}'s kind: adamw, "
            "or loop.sharded=false"
        )
    return Sharded(
        module, init_device_mesh(processes.device.type, (processes.count,)), pick_dtype(loop.dtype, processes.device)
    )


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` with every sharded one put together; all processes must ask."""
    return {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in tensors.items()}


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """This process's share of each of ``tensors``; writing to it writes to them."""
    return [value.to_local() if isinstance(value, DTensor) else value for value in tensors]


def shard_like(value: Tensor, pattern: Tensor) -> Tensor:
    """A whole ``value``, known to all processes, split as ``pattern`` is; itself where that is whole too."""
    if not isinstance(pattern, DTensor) or isinstance(value, DTensor) or value.shape != pattern.shape:
        return value
    return distribute_tensor(value.to(pattern.device), pattern.device_mesh, pattern.placements, src_data_rank=None)


def _matmuls(module: Transformer) -> list[nn.Linear]:
    """The layers whose weights may be narrow."""
    names = dict.fromkeys(name.rpartition(".")[0] for name in sorted(module.matmul_names()))
    found = [module.get_submodule(name) for name in names]
    return [part for part in found if isinstance(part, nn.Linear)]
