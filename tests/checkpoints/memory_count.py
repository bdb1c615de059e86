"""Counting what tensors hold at most while code runs on fake tensors: any size, no numbers, no memory."""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryCount(TorchDispatchMode):
    """``live``: bytes of all storages made under it that are still there; ``peak``: the most since it was last set."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, list[weakref.ref[torch.UntypedStorage]]] = defaultdict(list)

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = call(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        self.peak = max(self.peak, self.live)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        place = self._known[id(storage)]
        if any(known() is storage for known in place):
            return
        size = storage.nbytes()
        self.live += size

        def gone(reference: weakref.ref[torch.UntypedStorage]) -> None:
            self.live -= size
            place.remove(reference)

        place.append(weakref.ref(storage, gone))
