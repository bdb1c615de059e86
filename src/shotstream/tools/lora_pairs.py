"""Low-rank adapters in the reference's checkpoints, merged into the weights they adapt: W + B A.

The reference stores them in peft's naming and without alpha, which equals the rank there: the scale alpha / r is 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from torch import Tensor

from shotstream.core.errors import WeightsError
from shotstream.tools.safetensors_writer import Outgoing, computed
from shotstream.tools.stored_tensors import StoredTensor

_NAME = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
Pair = tuple[StoredTensor, StoredTensor]


def pairs_of(adapters: Mapping[str, StoredTensor], source: str) -> dict[str, Pair]:
    """Parameter's name -> its A [rank, in] and B [out, rank]. Raises :class:`WeightsError` that lists what is amiss."""
    sides: dict[str, dict[str, StoredTensor]] = {}
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


def merged(base: Mapping[str, Outgoing], pairs: Mapping[str, Pair], source: str) -> dict[str, Outgoing]:
    """``base`` with every adapter added to its weight when that is written. Raises :class:`WeightsError`."""
    faults = []
    for name, (a, b) in pairs.items():
        shape = (b.shape[0], a.shape[1])
        if name not in base:
            faults.append(f"extra {name}")
        elif base[name].shape != shape:
            faults.append(f"{name} is {list(shape)} instead of {list(base[name].shape)}")
    if faults:
        raise WeightsError(f"{source}: adapters of another model: {'; '.join(faults)}")
    adapted = {
        name: computed(partial(_added, base[name], *pair), base[name].dtype, base[name].shape)
        for name, pair in pairs.items()
    }
    return {**base, **adapted}


def _added(weight: Outgoing, a: StoredTensor, b: StoredTensor) -> Tensor:
    return weight.read().float().add_(b.read().float() @ a.read().float())
