"""The processes that train together, started by torchrun: who this one is, and what it does with the others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from shotstream.core.errors import InputError

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
