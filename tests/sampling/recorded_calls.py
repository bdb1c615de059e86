"""A stand-in for CUDA graphs on a CPU: what was called is called again, on the very same tensors, and nothing of Python
runs a second time. A number that Python worked out is what it was; a tensor lies where it lay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS_THE_DEVICE = ("_local_scalar_dense", "nonzero", "item")  # what would make a host wait


class _Listening(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in READS_THE_DEVICE, f"{name} waits for the device inside a block"
        made = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        fresh = all(one.alias_info is None for one in returns)
        written = any(one.alias_info is not None and one.alias_info.is_write for one in returns)
        outs = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        if fresh or written:  # a view of what lies where it lay need not be made again
            self.calls.append((func, args, kwargs or {}, outs if fresh else []))
        return made


class RecordedCalls:
    """A recorder (:class:`shotstream.sampling.block_graphs.Recorder`) that counts what it does."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        work()
        with _Listening() as heard:
            result = work()
        self.recorded += 1
        for _, _, _, outs in heard.calls:
            for out in outs:
                if out.is_floating_point():
                    out.fill_(torch.nan)  # a CUDA graph computes nothing while it is recorded

        def replay() -> None:
            self.replayed += 1
            for func, args, kwargs, outs in heard.calls:
                made = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
                for out, new in zip(outs, made, strict=bool(outs)):
                    out.copy_(new)

        return result, replay
