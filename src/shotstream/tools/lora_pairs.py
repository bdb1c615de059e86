"""Low-rank adapters merged into the weights they adapt, one at a time, when these are written: W + B A."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from shotstream.models.adapters import check_fit
from shotstream.tools.safetensors_writer import Outgoing, computed

Pair = tuple[Outgoing, Outgoing]


def merged(base: Mapping[str, Outgoing], pairs: Mapping[str, Pair], source: str) -> dict[str, Outgoing]:
    """``base`` with every adapter added to its weight when that is written. Raises :class:`WeightsError`."""
    check_fit(base, pairs, source)
    adapted = {
        name: computed(partial(_added, base[name], *pair), base[name].dtype, base[name].shape)
        for name, pair in pairs.items()
    }
    return {**base, **adapted}


def _added(weight: Outgoing, a: Outgoing, b: Outgoing) -> Tensor:
    return weight.read().float().add_(b.read().float() @ a.read().float())
