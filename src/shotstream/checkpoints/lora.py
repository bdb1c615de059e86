"""Reads LoRA files (arXiv 2106.09685) of other programs and merges them: W + scale B A. Refuses what is ambiguous."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Any

from torch import Tensor

from shotstream.checkpoints.lora_scale import KOHYA, Scales
from shotstream.checkpoints.safetensors_file import LazyTensor, computed
from shotstream.checkpoints.tensor_files import looks_like, said, unwrapped
from shotstream.core.errors import WeightsError
from shotstream.families.wan_layouts import from_diffusers, to_diffusers

# The layer, then which side of the adapter. peft may put the adapter's own name before "weight".
_SIDE = re.compile(
    r"(?P<layer>.+)\.(?:lora_(?P<peft>[AB])(?:\.(?P<called>\w+))?|lora_(?P<kohya>down|up)|lora\.(?P<old>down|up))\.weight"
)
_OTHER = re.compile(r"(?P<layer>.+)\.(?P<what>alpha|diff|diff_b|diff_m)")
# What makes another sum of the same matrices, by what tensors or settings are called.
_UNSUPPORTED = {
    r"dora_scale|lora_magnitude_vector": "DoRA",
    r"hada_w|lokr_w|oft_|\.w_norm|\.b_norm": "LoHa, LoKr and other adapters that are no plain LoRA",
    r"lora_mid": "a LoRA of convolutions in three parts",
    r"lora_[AB](?:\.\w+)?\.bias": "a LoRA with biases of its own (lora_bias)",
    r"lora_embedding": "a LoRA of embeddings",
    r"^lora_te": "a LoRA of a text encoder",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One adapter: a [rank, in], b [out, rank], and the scale of their product."""

    a: LazyTensor
    b: LazyTensor
    scale: float


@dataclass(frozen=True, slots=True)
class Adapters:
    """By parameter: adapters, and whole differences (of biases, norms and modulations, which some programs keep beside
    them)."""

    pairs: Mapping[str, Pair]
    differences: Mapping[str, LazyTensor] = field(default_factory=dict)


def is_lora(names: Iterable[str]) -> bool:
    """Are tensors of these names adapters, not whole weights?"""
    names = list(names)
    return any(_SIDE.fullmatch(name) or re.search("|".join(_UNSUPPORTED), name) for name in names)


def read_adapters(
    tensors: Mapping[str, LazyTensor],
    base: Mapping[str, LazyTensor],
    path: Path,
    *,
    alpha: float | None = None,
    reference: bool = False,
) -> Adapters:
    """The adapters ``tensors`` of the file ``path``, by the parameters of ``base`` that they adapt.

    alpha: of adapters of which nothing says theirs. reference: they are of a training checkpoint, in which alpha is
    the rank. Raises :class:`WeightsError` for adapters of another model, and
    for whatever would make another sum than W + scale B A or leaves the scale open.
    """
    _refuse_unsupported(tensors, path)
    sides: dict[str, dict[str, LazyTensor]] = {}
    others: dict[str, dict[str, LazyTensor]] = {"alpha": {}, "diff": {}, "diff_b": {}, "diff_m": {}}
    called: set[str] = set()
    strange = []
    for name, tensor in tensors.items():
        side, other = _SIDE.fullmatch(name), _OTHER.fullmatch(name)
        if side is not None and len(tensor.shape) == 2:
            called.add(side["called"] or "default")
            letter = side["peft"] or ("A" if (side["kohya"] or side["old"]) == "down" else "B")
            sides.setdefault(side["layer"], {})[letter] = tensor
        elif other is not None:
            others[other["what"]][other["layer"]] = tensor
        else:
            strange.append(f"{name} {list(tensor.shape)}")
    broken = [f"{layer}: {fault}" for layer, both in sides.items() if (fault := _fault(both))]
    faults = [said("no part of an adapter:", strange), said("incomplete:", broken)]
    if len(called) > 1:
        faults.append(f"several adapters in one file: {', '.join(sorted(called))}")
    if any(faults) or not (sides or others["diff"]):
        raise WeightsError(f"{path}: not a LoRA that can be read: {'; '.join(filter(None, faults)) or 'none there'}")
    layers = _Layers(base)
    scale = Scales(path, sides, others["alpha"], alpha, reference=reference)
    pairs = {}
    for layer, both in sides.items():
        name = layers.find(layer, ".weight")
        pairs[name] = Pair(both["A"], both["B"], scale.of(layer, both["A"].shape[0]))
    differences = {layers.find(layer, ".weight"): one for layer, one in others["diff"].items()}
    differences |= {layers.find(layer, ".bias"): one for layer, one in others["diff_b"].items()}
    differences |= {layers.find(f"{layer}.modulation", ""): one for layer, one in others["diff_m"].items()}
    layers.refuse_lost(path)
    if len(pairs) != len(sides):
        raise WeightsError(f"{path}: adapts a layer twice, under two names; not a LoRA that can be read")
    found = Adapters(pairs, differences)
    check_fit(base, found, str(path))
    return found


def own_adapters(tensors: Mapping[str, LazyTensor], path: Path) -> Adapters:
    """The adapters of a file of ours: by parameter, scaled by one. Raises :class:`WeightsError`."""
    sides: dict[str, dict[str, LazyTensor]] = {}
    for name, tensor in tensors.items():
        found = _SIDE.fullmatch(name)
        if found is None or found["peft"] is None or len(tensor.shape) != 2:
            raise WeightsError(f"{path}: {name} {list(tensor.shape)} is no part of an adapter; fetch it again")
        sides.setdefault(f"{found['layer']}.weight", {})[found["peft"]] = tensor
    broken = [f"{name}: {fault}" for name, both in sides.items() if (fault := _fault(both))]
    if broken or not sides:
        raise WeightsError(f"{path}: {said('incomplete adapters:', broken) or 'holds no adapters'}; fetch it again")
    return Adapters({name: Pair(both["A"], both["B"], 1.0) for name, both in sides.items()})


def check_fit(base: Mapping[str, LazyTensor], adapters: Adapters, source: str) -> None:
    """Raise :class:`WeightsError` unless all that ``adapters`` change is there in ``base``, in its shape."""
    shapes: dict[str, tuple[int, ...]] = {
        name: (pair.b.shape[0], pair.a.shape[1]) for name, pair in adapters.pairs.items()
    }
    extra = [name for name in (*shapes, *adapters.differences) if name not in base]
    other = [
        f"{name} is {list(shape)} instead of {list(base[name].shape)}"
        for name, shape in (*shapes.items(), *((name, one.shape) for name, one in adapters.differences.items()))
        if name in base and base[name].shape != shape
    ]
    if extra or other:
        faults = "; ".join(filter(None, [said("extra", extra), said("", other)]))
        raise WeightsError(f"{source}: adapters of another model: {faults}")


def merged(base: Mapping[str, LazyTensor], adapters: Adapters, source: str) -> dict[str, LazyTensor]:
    """``base`` with everything in ``adapters`` added, tensor by tensor as they are read. Raises
    :class:`WeightsError`."""
    check_fit(base, adapters, source)
    result = dict(base)
    for name, pair in adapters.pairs.items():
        result[name] = _plus(result[name], partial(_product, pair))
    for name, difference in adapters.differences.items():
        result[name] = _plus(result[name], difference.read)
    return result


def changes_of(adapters: Adapters) -> dict[str, Callable[[], Tensor]]:
    """By parameter, what ``adapters`` add to it: computed in float32 when it is asked for."""
    parts: dict[str, list[Callable[[], Tensor]]] = {
        name: [partial(_product, pair)] for name, pair in adapters.pairs.items()
    }
    for name, difference in adapters.differences.items():
        parts.setdefault(name, []).append(difference.read)
    return {name: partial(_added_up, tuple(each)) for name, each in parts.items()}


def _added_up(parts: tuple[Callable[[], Tensor], ...]) -> Tensor:
    return reduce(Tensor.add, (part().float() for part in parts))


def _plus(weight: LazyTensor, more: Any) -> LazyTensor:
    return computed(lambda: weight.read().float().add(more().float()), weight.dtype, weight.shape)


def _product(pair: Pair) -> Tensor:
    product = pair.b.read().float() @ pair.a.read().float()
    return product if pair.scale == 1 else product.mul_(pair.scale)


def _fault(both: Mapping[str, LazyTensor]) -> str:
    if set(both) != {"A", "B"}:
        return f"has only its lora_{next(iter(both))}"
    ranks = both["A"].shape[0], both["B"].shape[1]
    if not ranks[0]:
        return "of rank 0"
    return "" if ranks[0] == ranks[1] else f"ranks {ranks[0]} and {ranks[1]} disagree"


def _refuse_unsupported(names: Iterable[str], path: Path) -> None:
    for sign, what in _UNSUPPORTED.items():
        one = next((name for name in names if re.search(sign, name)), None)
        if one is not None:
            raise WeightsError(f"{path}: {what} is not supported ({one}); merge it with the program that made it")


class _Layers:
    """Which layer of a network a LoRA means: by the longest end of its name that is one, in our names or diffusers',
    so that no prefix matters; kohya's have underscores for dots."""

    def __init__(self, base: Iterable[str]) -> None:
        self._base = frozenset(base)
        self._names = {name.rpartition(".")[0] for name in self._base if name.endswith((".weight", ".bias"))}
        self._flat = {layer.replace(".", "_"): layer for layer in self._names}
        theirs = {to_diffusers(f"{layer}.weight").removesuffix(".weight"): layer for layer in self._names}
        self._flat |= {name.replace(".", "_"): layer for name, layer in theirs.items()}
        self._lost: list[str] = []

    def find(self, layer: str, kind: str) -> str:
        """The parameter of ``kind`` (``.weight``, ``.bias``) that a LoRA's ``layer`` adapts."""
        found = self._found(layer)
        if found is None:
            self._lost.append(layer)
            return f"{layer}{kind}"
        return found if found in self._base else f"{found}{kind}"

    def _found(self, layer: str) -> str | None:
        kohya = KOHYA.fullmatch(layer)
        if kohya is not None or layer in self._flat:
            return self._flat.get(layer if kohya is None else kohya["layer"])
        parts = unwrapped(layer).split(".")
        for start in range(len(parts)):
            end = ".".join(parts[start:])
            for name in (end, from_diffusers(end)):
                if name in self._names or name in self._base:
                    return name
        return None

    def refuse_lost(self, path: Path) -> None:
        if self._lost:
            guess = looks_like(self._lost)
            faults = "; ".join(filter(None, [said("extra", [f"{name}.weight" for name in self._lost]), guess]))
            raise WeightsError(f"{path}: adapters of another model: {faults}")
