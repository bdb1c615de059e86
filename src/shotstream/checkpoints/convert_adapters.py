"""LoRA adapters in a file of their own, which names the weights they are added to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from shotstream.checkpoints.lazy_tensor import LazyTensor, computed, held
from shotstream.checkpoints.lora import changes_of, read_adapters
from shotstream.checkpoints.quantisation import Form, quantised
from shotstream.checkpoints.safetensors_file import read_header, write_safetensors
from shotstream.checkpoints.transformer_source import Wanted, find_weights, lora_in, open_transformer
from shotstream.checkpoints.transformer_weights import BaseWeights, Role, WeightsHeader
from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, ready_to_write
from shotstream.models.transformer import Transformer

Sides = tuple[LazyTensor, LazyTensor]  # A and B
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
    form: Form | None = "int8",
    alpha: float | None = None,
    force: bool = False,
) -> Adapted:
    """Write what ``source`` adds to ``base`` to ``output``, as adapters.

    source: a LoRA (a file, or peft's folder), whose scale goes into the adapters; or whole weights, whose difference
    from ``base`` is cut to ``rank`` by singular values. base: whole weights in our layout, called after their role,
    and beside ``output``, where loading looks for them and refuses others. form: quantised so; None keeps the numbers.
    alpha: of a LoRA that does not say its own.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    below, header = _whole(base, output)
    pairs, kept = _added(find_weights(source, role), below, role, rank, alpha)
    ready_to_write(output, force=force)
    tensors: dict[str, LazyTensor] = {}
    for name, sides in pairs.items():
        for letter, side in zip("AB", sides, strict=True):
            named = f"{name.removesuffix('.weight')}.lora_{letter}.weight"
            tensors |= {named: side} if form is None else quantised(named, side, form)
    added_to = BaseWeights(role=header.role, fingerprint=fingerprint(base))
    header = header.model_copy(update={"role": role, "base": added_to})
    write_safetensors(output, tensors, {"shotstream": header.model_dump_json()})
    largest = max(a.shape[0] for a, _ in pairs.values())
    return Adapted(output=str(output), base=base.name, bytes=output.stat().st_size, rank=largest, kept=kept)


def read_lora(path: Path, model: Transformer, alpha: float | None) -> tuple[dict[str, Callable[[], Tensor]], str]:
    """What the LoRA in ``path`` (a file, or peft's folder) adds to each parameter of ``model``, and its fingerprint.

    alpha: of adapters of which nothing says theirs. Raises :class:`WeightsError` for what is no LoRA of this model.
    """
    file = find_weights(path, "student")
    if file.suffix == ".safetensors" and "shotstream" in read_header(file).metadata:
        raise WeightsError(f"{file}: is a model of its own; load it as one. A LoRA is what peft or kohya write")
    found = lora_in(file, Wanted())
    if found is None:
        raise WeightsError(f"{file}: holds whole weights, no LoRA; load it as a model")
    base = {name: held(parameter) for name, parameter in model.named_parameters()}
    adapters = read_adapters(found[0], base, file, alpha=alpha, reference=found[1])
    return changes_of(adapters), fingerprint(file)


def _whole(base: Path, output: Path) -> tuple[Mapping[str, LazyTensor], WeightsHeader]:
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


def _added(
    path: Path, base: Mapping[str, LazyTensor], role: Role, rank: int | None, alpha: float | None
) -> tuple[dict[str, Sides], float]:
    """The adapters that make the weights of ``path`` out of ``base``, and the share of the difference they hold."""
    found = lora_in(path, Wanted(role=role))
    if found is None:
        if rank is None:
            raise InputError(f"{path}: holds whole weights; say how many singular values are kept of each (--rank)")
        return _difference(open_transformer(path).tensors, base, rank, str(path))
    if rank is not None:
        raise InputError(f"{path}: holds adapters, whose rank is fixed; leave out --rank")
    adapters = read_adapters(found[0], base, path, alpha=alpha, reference=found[1])
    if adapters.differences:
        raise InputError(f"{path}: changes biases or norms, too; convert it to whole weights instead")
    return {name: (one.a, _times(one.b, one.scale)) for name, one in adapters.pairs.items()}, 1.0


def _times(tensor: LazyTensor, scale: float) -> LazyTensor:
    if scale == 1:
        return tensor
    return computed(lambda: tensor.read().float() * scale, torch.float32, tensor.shape)


def _difference(
    weights: Mapping[str, LazyTensor], base: Mapping[str, LazyTensor], rank: int, source: str
) -> tuple[dict[str, Sides], float]:
    """Adapters of the matrices in which ``weights`` differ from ``base``, and the share of the difference they hold."""
    if weights.keys() != base.keys():
        other = sorted(weights.keys() ^ base.keys())[0]
        raise WeightsError(f"{source}: is another network than its base: {other}")
    pairs: dict[str, Sides] = {}
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


def _held(tensor: Tensor) -> LazyTensor:
    return computed(tensor.contiguous, torch.float32, tuple(tensor.shape))
