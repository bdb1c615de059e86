"""Transformer weights under our names, from Wan, training checkpoints, ComfyUI, diffusers, our own files or a LoRA.

A source is a file or a folder. In a folder are looked for ``student.safetensors`` (ours), peft's adapters,
``transformer/`` (a diffusers pipeline), Wan's release, and a training checkpoint's ``model.pt``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from shotstream.checkpoints.lora import is_lora, merged, read_adapters
from shotstream.checkpoints.lora_scale import PEFT_FILE
from shotstream.checkpoints.model_files import snapshot_of
from shotstream.checkpoints.safetensors_file import LazyTensor, short
from shotstream.checkpoints.safetensors_file import read_header as read_raw_header
from shotstream.checkpoints.tensor_files import (
    CHECKPOINTS,
    by_prefix,
    is_index,
    looks_like,
    read_checkpoint,
    read_tensors,
    said,
    shards_of,
    tensors_of,
    without_fp8,
)
from shotstream.checkpoints.transformer_weights import Role, WeightsHeader, open_weights
from shotstream.core.errors import WeightsError
from shotstream.core.files import plain_entries
from shotstream.families.wan_layouts import from_diffusers, is_diffusers, known_sizes

Layout = Literal["wan", "reference", "adapters", "diffusers", "shotstream"]
# Any network of the family has a layer of one of these names; what stands before it is a wrapper's prefix.
_ANCHORS = ("blocks.0.self_attn.q.weight", "blocks.0.attn1.to_q.weight")
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<of>\d{5})(?P<suffix>\.safetensors|\.bin|\.pt|\.pth)")
_CRITIC = ("critic", "fake_score")
_OTHERS = (*_CRITIC, "real_score", "optimizer")  # in a checkpoint, never what makes films
_REFERENCE = "_lora"  # generator_lora, critic_lora: the reference's adapters, whose alpha is the rank
_FIRST = ("generator", "student", "model", "state_dict", "module", "")  # where several are there: which is meant


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerSource:
    """Tensors in our names. ``told``: sizes a config file beside them states; ``header``: our own files' word.
    ``entry``: of a checkpoint of several networks, the one that was taken; ``also``: the others."""

    path: Path
    layout: Layout
    tensors: Mapping[str, LazyTensor]
    told: Mapping[str, Any] = field(default_factory=dict)
    header: WeightsHeader | None = None
    entry: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is asked of a source. ``base``: the weights that adapters belong to; ``alpha``: of adapters that do not say
    theirs; ``entry``: of a checkpoint that holds several networks, such as ``generator_ema``."""

    role: Role = "student"
    base: Path | None = None
    alpha: float | None = None
    entry: str | None = None


def open_transformer(source: Path, wanted: Wanted | None = None) -> TransformerSource:
    """Find and open the weights of ``source``. Nothing but names and shapes is read yet.

    Raises :class:`WeightsError`, one short line.
    """
    wanted = wanted or Wanted()
    path = transformer_file(source, wanted.role)
    _refuse_other_files(path)
    if path.suffix == ".safetensors" and "shotstream" in read_raw_header(path).metadata:
        header, tensors = open_weights(path)
        return TransformerSource(path=path, layout="shotstream", tensors=tensors, header=header)
    return _taken(path, _entries_of(path), wanted)


def lora_in(path: Path, wanted: Wanted) -> tuple[dict[str, LazyTensor], bool] | None:
    """The adapters that ``path`` holds instead of whole weights, and whether they are the reference's.

    Raises :class:`WeightsError`.
    """
    _refuse_other_files(path)
    there = _candidates(_entries_of(path))
    entry = _chosen(path, list(there), wanted)
    return (there[entry], entry.endswith(_REFERENCE)) if is_lora(there[entry]) else None


def _refuse_other_files(path: Path) -> None:
    if path.suffix not in (*CHECKPOINTS, ".safetensors", ".json"):
        raise WeightsError(f"{path}: {path.suffix or 'such'} files are not read; give safetensors or a .pt checkpoint")


def transformer_file(source: Path, role: Role) -> Path:
    """The file (or index of shards) with the transformer's weights in ``source``. Raises :class:`WeightsError`."""
    if source.is_file():
        return _index_of(source)
    if not source.is_dir():
        raise WeightsError(f"{source}: no such file or folder; name what is to be converted")
    source = snapshot_of(source)
    named = [source / f"{role}.safetensors", source / PEFT_FILE, source / "adapter_model.bin"]
    named += [source / "pytorch_lora_weights.safetensors"]
    for folder in (source / "transformer", source):
        for stem, suffix in product(("diffusion_pytorch_model", "model", "pytorch_model"), (".safetensors", ".bin")):
            indices = [one for one in sorted(folder.glob(f"{stem}.*.json")) if is_index(one) and suffix in one.name]
            named += [folder / f"{stem}{suffix}.index.json", folder / f"{stem}{suffix}"]
            named += indices + sorted(folder.glob(f"{stem}.*{suffix}"))
        named += [folder / "model.pt"]
    found = next((place for place in named if place.is_file()), None)
    if found is not None:
        return found
    steps = sorted(source.glob("checkpoint*/model.pt"), key=lambda place: (_number(place.parent.name), place))
    if steps:  # the latest of a training's checkpoints
        return steps[-1]
    loose = [place for place in plain_entries(source) if place.suffix in (".safetensors", *CHECKPOINTS)]
    indices = [place for place in plain_entries(source) if is_index(place)]
    if len(indices) == 1:
        return indices[0]
    loose = [place for place in loose if place.is_file()]
    if len(loose) == 1 or any(_SHARD.fullmatch(place.name) for place in loose):
        return _index_of(loose[0])
    if any(source.glob("*.distcp")):
        raise WeightsError(
            f"{source}: a checkpoint of many processes; make one file of it (dcp_to_torch_save of torch)"
        )
    there = f" ({said('there:', [place.name for place in loose])})" if loose else ""
    raise WeightsError(
        f"{source}: holds no transformer ({role}.safetensors, transformer/, diffusion_pytorch_model.safetensors, "
        f"model.pt){there}; name the file itself"
    )


def _index_of(path: Path) -> Path:
    """``path``, or the index of its set if it is one of several shards. Raises :class:`WeightsError` without that."""
    shard = _SHARD.fullmatch(path.name)
    if shard is None:
        return path
    indices = [one for one in plain_entries(path.parent) if is_index(one) and path.name in shards_of(one)]
    if not indices:
        usual = f"{shard['stem']}{shard['suffix']}.index.json"
        raise WeightsError(f"{path}: is one of {int(shard['of'])} shards, whose index is missing; fetch {usual}")
    return indices[0]


def _entries_of(path: Path) -> dict[str, dict[str, LazyTensor]]:
    """Everything that a file, or a set of shards by its index, holds, by the names that lead to it."""
    return _entries(read_checkpoint(path)) if path.suffix in CHECKPOINTS else {"": read_tensors(path)}


def _entries(found: Mapping[str, Any], place: str = "") -> dict[str, dict[str, LazyTensor]]:
    """Every level of a checkpoint that holds tensors, by the names that lead to it."""
    own = tensors_of(found)
    entries = {place: own} if own else {}
    for name, value in found.items():
        if isinstance(value, Mapping):
            entries |= _entries(value, f"{place}.{name}" if place else name)
    return entries


def _taken(path: Path, entries: Mapping[str, dict[str, LazyTensor]], wanted: Wanted) -> TransformerSource:
    """The network or the adapters that are meant, out of the ``entries`` of the file ``path``."""
    there = _candidates(entries)
    entry = _chosen(path, list(there), wanted)
    also = tuple(name for name in there if name != entry)
    tensors = there[entry]
    if is_lora(tensors):
        return _adapted(path, tensors, wanted, entry=entry, also=also)
    tensors = without_fp8(tensors, str(path))
    strange = [name for name, one in tensors.items() if not one.dtype.is_floating_point]
    if strange:
        guess = looks_like(tensors)
        raise WeightsError(
            f"{path}: {said('no ordinary numbers in', strange)}{f'; {guess}' if guess else ''}; give other weights"
        )
    told = {} if entry else _told_beside(path)
    if is_diffusers(tensors):
        tensors = {from_diffusers(name): tensor for name, tensor in tensors.items()}
        layout: Layout = "diffusers"
    else:
        layout = "reference" if entry else "wan"
    return TransformerSource(path=path, layout=layout, tensors=tensors, told=told, entry=entry, also=also)


def _candidates(entries: Mapping[str, dict[str, LazyTensor]]) -> dict[str, dict[str, LazyTensor]]:
    """Everything in a file that may be meant, by name, without wrappers' prefixes."""
    found: dict[str, dict[str, LazyTensor]] = {}
    for entry, tensors in entries.items():
        if is_lora(tensors):
            found[entry] = tensors
            continue
        networks = by_prefix(tensors, _ANCHORS)
        networks = {prefix: one for prefix, one in networks.items() if any(anchor in one for anchor in _ANCHORS)}
        for prefix, one in networks.items():
            inner = prefix.rstrip(".") if len(networks) > 1 else ""
            found[".".join(filter(None, (entry, inner)))] = one
    return found or dict(entries)  # nothing of this family: what it is instead will be said when it is checked


def _chosen(path: Path, there: list[str], wanted: Wanted) -> str:
    """Which of the names ``there`` is meant. Raises :class:`WeightsError` if none is, or it is not clear which."""
    listed = said("there:", [name or "the file itself" for name in there]) or "it holds no tensors"
    if wanted.entry is not None:
        if wanted.entry not in there:
            raise WeightsError(f"{path}: no entry is called {wanted.entry!r} ({listed}); name another with --entry")
        return wanted.entry
    if wanted.role == "critic":
        meant = [name for name in there if any(sign in name for sign in _CRITIC)]
    else:
        meant = [name for name in there if not any(sign in name for sign in _OTHERS)]
    if not meant:
        raise WeightsError(f"{path}: holds no {wanted.role} ({listed}); name one with --entry, or another --role")
    plain = [name for name in meant if "ema" not in name.lower()] or meant
    first = next((name for name in _FIRST if name in plain), None)
    if first is None and len(plain) > 1:
        raise WeightsError(f"{path}: holds several networks ({listed}); name one with --entry")
    return plain[0] if first is None else first


def _adapted(
    path: Path, found: Mapping[str, LazyTensor], wanted: Wanted, *, entry: str, also: tuple[str, ...]
) -> TransformerSource:
    """The weights ``wanted.base`` with the adapters ``found`` in ``path`` added."""
    if wanted.base is None:
        raise WeightsError(f"{path}: holds adapters alone; name the weights they belong to with --base")
    below = open_transformer(wanted.base, Wanted(role=wanted.role))
    adapters = read_adapters(found, below.tensors, path, alpha=wanted.alpha, reference=entry.endswith(_REFERENCE))
    return TransformerSource(
        path=path,
        layout="adapters",
        tensors=merged(below.tensors, adapters, str(path)),
        told=below.told,
        header=below.header,
        entry=entry,
        also=also,
    )


def _number(name: str) -> int:
    """The last number in a folder's name, such as that of a training's update."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else -1


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
        raise WeightsError(f"{config}: not readable ({short(fault)}); fetch it again") from fault
