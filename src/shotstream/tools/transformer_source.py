"""Transformer weights wherever they come from, in our names: Wan's files, the reference's checkpoints, diffusers, ours.

A source is a file or a folder. In a folder: ``student.safetensors`` (ours), ``transformer/`` (a diffusers pipeline),
or ``diffusion_pytorch_model*.safetensors`` (Wan's release, or the transformer of diffusers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from shotstream.core.errors import WeightsError
from shotstream.core.packed import PACKED, SCALE, check_scales, unpack
from shotstream.models.adapters import is_adapter, pairs_of
from shotstream.models.wan_layouts import from_diffusers, is_diffusers, known_sizes
from shotstream.models.weights import Role, WeightsHeader, base_of, read_header, without_prefix
from shotstream.tools.lora_pairs import merged
from shotstream.tools.safetensors_header import read_header as read_raw_header
from shotstream.tools.safetensors_writer import Outgoing, computed, unchanged
from shotstream.tools.stored_tensors import CHECKPOINTS, StoredTensor, read_checkpoint, read_safetensors

ADAPTERS_FILE = "adapter_model.safetensors"  # peft's
Layout = Literal["wan", "reference", "adapters", "diffusers", "shotstream"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerSource:
    """Tensors in our names. ``told``: sizes a config file beside them states; ``header``: our own files' word."""

    path: Path
    layout: Layout
    tensors: Mapping[str, Outgoing]
    told: Mapping[str, Any] = field(default_factory=dict)
    header: WeightsHeader | None = None


def open_transformer(source: Path, *, role: Role = "student", base: Path | None = None) -> TransformerSource:
    """Find and open the weights of ``source``. ``base``: the weights that adapters (``generator_lora`` in the
    reference's checkpoints, or peft's ``adapter_model.safetensors``) belong to.

    role: which entry of a checkpoint is meant: ``critic`` for the critic, else ``generator``. Raises
    :class:`WeightsError`.
    """
    path = find_weights(source, role)
    if path.suffix in CHECKPOINTS:
        return _from_checkpoint(path, role, base)
    stored = read_safetensors(path)
    if path.suffix != ".json" and "shotstream" in read_raw_header(path).metadata:
        header, tensors = read_header(path), _unpacked(_as_is(stored), str(path))
        if header.base is not None:
            below = open_transformer(base_of(path, header.base))
            tensors = merged(below.tensors, pairs_of(tensors, str(path)), str(path))
        return TransformerSource(path=path, layout="shotstream", tensors=tensors, header=header)
    if stored and all(is_adapter(name) for name in stored):
        return _adapters(path, stored, role, base)
    if is_diffusers(stored):
        tensors = {from_diffusers(name): unchanged(tensor) for name, tensor in stored.items()}
        return TransformerSource(path=path, layout="diffusers", tensors=tensors, told=_told_beside(path))
    return TransformerSource(path=path, layout="wan", tensors=_as_is(stored), told=_told_beside(path))


def find_weights(source: Path, role: Role) -> Path:
    """The file (or index of shards) with the transformer's weights in ``source``. Raises :class:`WeightsError`."""
    if source.is_file():
        return source
    if not source.is_dir():
        raise WeightsError(f"{source}: no such file or folder; name what is to be converted")
    names = ("diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.safetensors")
    places = [source / f"{role}.safetensors", source / ADAPTERS_FILE]
    places += [folder / name for folder in (source / "transformer", source) for name in names]
    for place in places:
        if place.is_file():
            return place
    raise WeightsError(
        f"{source}: holds no transformer ({role}.safetensors, transformer/, diffusion_pytorch_model.safetensors); "
        "name the file itself"
    )


def _from_checkpoint(path: Path, role: Role, base: Path | None) -> TransformerSource:
    """The reference's pickles: ``{"generator": {...}}`` with its wrapper's prefix, or adapters in peft's naming."""
    found = read_checkpoint(path)
    wanted = "critic" if role == "critic" else "generator"
    if _tensors(found):  # a state dict without a cover
        return TransformerSource(path=path, layout="wan", tensors=_as_is(found), told=_told_beside(path))
    if isinstance(found.get(wanted), Mapping):
        return TransformerSource(path=path, layout="reference", tensors=_as_is(found[wanted]))
    adapters = found.get(f"{wanted}_lora")
    if not isinstance(adapters, Mapping):
        there = ", ".join(name for name, value in found.items() if isinstance(value, Mapping)) or "nothing of the kind"
        raise WeightsError(f"{path}: holds neither {wanted!r} nor '{wanted}_lora' (there: {there}); try another --role")
    return _adapters(path, _tensors(adapters), role, base)


def _adapters(path: Path, found: Mapping[str, StoredTensor], role: Role, base: Path | None) -> TransformerSource:
    """``base`` with the adapters ``found`` in ``path`` added."""
    if base is None:
        raise WeightsError(f"{path}: holds adapters alone; name the weights they belong to with --base")
    check_alpha(path)
    below = open_transformer(base, role=role)
    pairs = pairs_of({name: unchanged(tensor) for name, tensor in found.items()}, str(path))
    tensors = merged(below.tensors, pairs, str(path))
    return TransformerSource(path=path, layout="adapters", tensors=tensors, told=below.told, header=below.header)


def check_alpha(path: Path) -> None:
    """Refuse adapters whose ``adapter_config.json`` beside them says a scale (alpha / rank) that is not 1.

    Raises :class:`WeightsError`.
    """
    config = path.parent / "adapter_config.json"
    if path.name != ADAPTERS_FILE or not config.is_file():
        return
    try:
        told = json.loads(config.read_text(encoding="utf-8"))
        rank, alpha = told["r"], told["lora_alpha"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise WeightsError(f"{config}: not readable as peft's ({fault!r}); fetch it again") from fault
    if rank != alpha:
        raise WeightsError(f"{config}: alpha {alpha} is not the rank {rank}; merge these adapters with peft instead")


def _as_is(found: Mapping[str, Any]) -> dict[str, Outgoing]:
    return {name: unchanged(tensor) for name, tensor in without_prefix(_tensors(found)).items()}


def _unpacked(tensors: Mapping[str, Outgoing], source: str) -> dict[str, Outgoing]:
    """Matrices packed into bytes as float32, all else as it is."""
    packed = [name for name, tensor in tensors.items() if tensor.dtype in PACKED]
    check_scales(packed, tensors, source)
    plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    return plain | {name: _plain(tensors[name], tensors[name + SCALE]) for name in packed}


def _plain(whole: Outgoing, scale: Outgoing) -> Outgoing:
    return computed(lambda: unpack(whole.read(), scale.read()), torch.float32, (*scale.shape, *whole.shape[1:]))


def _tensors(found: Mapping[str, Any]) -> dict[str, StoredTensor]:
    return {name: value for name, value in found.items() if isinstance(value, StoredTensor)}


def _told_beside(path: Path) -> dict[str, Any]:
    """The sizes that ``config.json`` beside ``path`` states."""
    config = path.parent / "config.json"
    if not config.is_file():
        return {}
    try:
        return known_sizes(json.loads(config.read_text(encoding="utf-8")))
    except WeightsError as fault:
        raise WeightsError(f"{config}: {fault}") from fault
    except (OSError, ValueError, AttributeError) as fault:
        raise WeightsError(f"{config}: not readable ({fault}); fetch it again") from fault
