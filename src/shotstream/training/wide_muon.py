"""Muon where bfloat16 is slow: torch's own orthogonalises every update in bfloat16, whatever the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from shotstream.core.devices import pick_dtype


class WideMuon(torch.optim.Muon):
    """torch's Muon; on devices without bfloat16 instructions (a third of the speed) it computes in float32."""

    def step(self, closure: Any = None) -> Any:
        with _Float32():
            return super().step(closure)


class _Float32(TorchFunctionMode):
    """``tensor.bfloat16()`` gives a float32 copy on devices that are slower in bfloat16."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.bfloat16 and pick_dtype("auto", args[0].device) is torch.float32:
            return args[0].to(torch.float32, copy=True)
        return func(*args, **(kwargs or {}))
