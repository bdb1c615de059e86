"""Adapters kept apart: a weight file of what they add to another that lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, ready_to_write
from shotstream.core.packed import LARGEST
from shotstream.models.adapters import check_fit, is_adapter, pairs_of
from shotstream.models.weights import BaseWeights, Role, WeightsHeader
from shotstream.tools.lora_pairs import Pair
from shotstream.tools.safetensors_writer import Outgoing, computed, packed, unchanged, write_safetensors
from shotstream.tools.stored_tensors import read_safetensors
from shotstream.tools.transformer_source import check_alpha, find_weights, open_transformer

ROUNDING = 2e-3  # differences below this share of a tensor's size are half precision's


class Adapted(Config):
    """What was written. ``kept``: of the squared difference from the base, the share that the adapters hold."""

    output: str
    base: str
    bytes: int
    rank: int
    kept: float


def convert_adapters(
    source: Path,
    output: Path,
    *,
    base: Path,
    role: Role = "student",
    rank: int | None = None,
    levels: int | None = LARGEST,
    force: bool = False,
) -> Adapted:
    """Write what ``source`` adds to ``base`` to ``output``, as adapters.

    source: adapters as peft writes them (``adapter_model.safetensors``, or its folder), taken as they are; or whole
    weights, whose difference from ``base`` is cut to ``rank`` by singular values. base: whole weights in our layout,
    called after their role, and beside ``output``, where loading looks for them and refuses others. levels: packed
    into bytes, of whole numbers from -levels to levels; None keeps the numbers.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    below, header = _whole(base, output)
    pairs, kept = _added(find_weights(source, role), below, rank)
    ready_to_write(output, force=force)
    tensors: dict[str, Outgoing] = {}
    for name, sides in pairs.items():
        for letter, side in zip("AB", sides, strict=True):
            named = f"{name.removesuffix('.weight')}.lora_{letter}.weight"
            tensors |= {named: side} if levels is None else packed(named, side, levels)
    added_to = BaseWeights(role=header.role, fingerprint=fingerprint(base))
    header = header.model_copy(update={"role": role, "base": added_to})
    write_safetensors(output, tensors, {"shotstream": header.model_dump_json()})
    largest = max(a.shape[0] for a, _ in pairs.values())
    return Adapted(output=str(output), base=base.name, bytes=output.stat().st_size, rank=largest, kept=kept)


def _whole(base: Path, output: Path) -> tuple[Mapping[str, Outgoing], WeightsHeader]:
    """The weights of ``base`` and what they say of themselves, if adapters beside ``output`` can be added to them."""
    below = open_transformer(base)
    if below.header is None:
        raise WeightsError(f"{base}: is not in our layout; convert it first")
    if below.header.base is not None or output.name == base.name:
        raise InputError(f"{base}: adapters are added to whole weights of another role, beside which they lie")
    if base.name != f"{below.header.role}.safetensors":
        raise InputError(f"{base}: will be looked for as {below.header.role}.safetensors; name it so")
    beside = output.with_name(base.name)
    if not beside.is_file() or fingerprint(beside) != fingerprint(base):
        raise InputError(f"{beside}: will be looked for beside {output.name} and is not {base}; copy it there first")
    return below.tensors, below.header


def _added(path: Path, base: Mapping[str, Outgoing], rank: int | None) -> tuple[dict[str, Pair], float]:
    """The adapters that make the weights of ``path`` out of ``base``, and the share of the difference they hold."""
    found = {name: unchanged(tensor) for name, tensor in read_safetensors(path).items()}
    if not all(is_adapter(name) for name in found):
        if rank is None:
            raise InputError(f"{path}: holds whole weights; say how many singular values are kept of each (--rank)")
        return _difference(open_transformer(path).tensors, base, rank, str(path))
    if rank is not None:
        raise InputError(f"{path}: adapters have the rank they have; leave out --rank")
    check_alpha(path)
    pairs = pairs_of(found, str(path))
    check_fit(base, pairs, str(path))
    return pairs, 1.0


def _difference(
    weights: Mapping[str, Outgoing], base: Mapping[str, Outgoing], rank: int, source: str
) -> tuple[dict[str, Pair], float]:
    """Adapters of the matrices in which ``weights`` differ from ``base``, and the share of the difference they hold."""
    if weights.keys() != base.keys():
        other = sorted(weights.keys() ^ base.keys())[0]
        raise WeightsError(f"{source}: is another network than its base: {other}")
    pairs: dict[str, Pair] = {}
    whole, held = 0.0, 0.0
    for name in sorted(base):
        below = base[name].read().float()
        moved = weights[name].read().float() - below
        if moved.norm() <= ROUNDING * below.norm():
            continue
        if moved.ndim != 2:
            raise InputError(f"{source}: {name} differs from its base and is no matrix; keep these weights whole")
        left, values, right = torch.linalg.svd(moved, full_matrices=False)
        whole += float(values.square().sum())
        held += float(values[:rank].square().sum())
        root = values[:rank].sqrt()
        pairs[name] = (_held(root[:, None] * right[:rank]), _held(left[:, :rank] * root))
    if not pairs:
        raise InputError(f"{source}: is its base; there is nothing to add")
    return pairs, held / whole


def _held(tensor: Tensor) -> Outgoing:
    return computed(tensor.contiguous, torch.float32, tuple(tensor.shape))
