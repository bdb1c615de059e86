"""Low-rank adapters (arXiv 2106.09685) in files, and the networks that are what they add to another: W + B A.

Named as peft names them (``blocks.0.self_attn.q.lora_A.weight`` [rank, in], ``lora_B`` [out, rank]), scaled by one:
alpha equals the rank, as in the reference's checkpoints and ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, TypeVar

from torch import Tensor

from shotstream.core.errors import WeightsError

_NAME = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")


class _Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


T = TypeVar("T", bound=_Shaped)


def is_adapter(name: str) -> bool:
    """Does a tensor's ``name`` say that it is one side of an adapter?"""
    return _NAME.fullmatch(name) is not None


def pairs_of(adapters: Mapping[str, T], source: str) -> dict[str, tuple[T, T]]:
    """Parameter's name -> its A [rank, in] and B [out, rank]. Raises :class:`WeightsError` that lists what is amiss."""
    sides: dict[str, dict[str, T]] = {}
    faults = []
    for name, tensor in adapters.items():
        found = _NAME.fullmatch(name)
        if found is None or len(tensor.shape) != 2:
            faults.append(f"{name} {list(tensor.shape)} is no part of an adapter")
        else:
            sides.setdefault(f"{found['module'].removeprefix('model.')}.weight", {})[found["side"]] = tensor
    pairs = {}
    for name, both in sides.items():
        if set(both) != {"A", "B"}:
            faults.append(f"{name} has only its lora_{next(iter(both))}")
        elif both["A"].shape[0] != both["B"].shape[1]:
            faults.append(f"{name}: ranks {both['A'].shape[0]} and {both['B'].shape[1]} disagree")
        else:
            pairs[name] = (both["A"], both["B"])
    if faults or not pairs:
        raise WeightsError(f"{source}: not adapters as the reference stores them: {'; '.join(faults) or 'none there'}")
    return pairs


def check_fit(base: Mapping[str, _Shaped], pairs: Mapping[str, tuple[_Shaped, _Shaped]], source: str) -> None:
    """Raise :class:`WeightsError` unless every adapter has a weight of its size in ``base``."""
    faults = []
    for name, (a, b) in pairs.items():
        shape = (b.shape[0], a.shape[1])
        if name not in base:
            faults.append(f"extra {name}")
        elif tuple(base[name].shape) != shape:
            faults.append(f"{name} is {list(shape)} instead of {list(base[name].shape)}")
    if faults:
        raise WeightsError(f"{source}: adapters of another model: {'; '.join(faults)}")


def with_adapters(base: Mapping[str, Tensor], adapters: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """``base`` with every adapter added to its weight. Raises :class:`WeightsError`."""
    pairs = pairs_of(adapters, source)
    check_fit(base, pairs, source)
    return {**base, **{name: base[name].float() + b.float() @ a.float() for name, (a, b) in pairs.items()}}
