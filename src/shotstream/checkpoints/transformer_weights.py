"""Transformer weights in our own safetensors files, whose header says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from shotstream.checkpoints import safetensors_file
from shotstream.checkpoints.lora import merged, own_adapters
from shotstream.checkpoints.quantisation import unpacked
from shotstream.checkpoints.safetensors_file import LazyTensor, read_safetensors, write_safetensors
from shotstream.checkpoints.tensor_files import check_names_and_shapes
from shotstream.core.config import Config, first_fault
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

Role = Literal["teacher", "student", "critic"]


class BaseWeights(Config):
    """The weights that lie beside a file of adapters, as ``<role>.safetensors``, and their content's fingerprint."""

    role: Role
    fingerprint: str


class WeightsHeader(Config):
    """What a weight file says about itself. ``versions``: of the world, autoencoder and text encoder it belongs to.

    ``base``: the file holds adapters alone, and this is what they are added to.
    """

    kind: Literal["transformer"] = "transformer"
    version: str = "1"  # of this layout; files written before the field existed are version 1
    role: Role
    preset: str
    config: TransformerConfig
    versions: dict[str, str] = Field(default_factory=dict)
    base: BaseWeights | None = None


def save_transformer(model: Transformer, path: Path, header: WeightsHeader, dtype: torch.dtype | None = None) -> None:
    """Write ``model``, whole or not at all; ``dtype`` narrows the matmuls' weights. Raises StorageError."""
    matmuls = model.matmul_names() if dtype is not None else frozenset()
    tensors = {
        name: (value.to(dtype) if name in matmuls else value).detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    write_safetensors(path, tensors, {"shotstream": header.model_dump_json()})


def load_transformer(
    path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, WeightsHeader]:
    """The model of ``path``, matmuls in ``dtype``, without gradients, and what the file says of it.

    The file is memory-mapped and its tensors become the parameters: nothing is copied that need not be (q, k and v
    of the layers are, into one piece).
    Raises WeightsError, one line that names the file.
    """
    header, lazy = open_weights(path)
    tensors = {name: tensor.read().to(device) for name, tensor in lazy.items()}
    model = build(header.config, tensors, str(path))
    return model.narrow_(dtype).requires_grad_(False).eval().fuse_(), header


def open_weights(path: Path) -> tuple[WeightsHeader, dict[str, LazyTensor]]:
    """The header and the tensors of a file of ours: packed ones as ordinary numbers, adapters added to their base.

    Raises WeightsError for a missing or damaged file, or another base than the adapters were made for.
    """
    header = read_header(path)
    tensors = unpacked(read_safetensors(path), str(path))
    if header.base is None:
        return header, tensors
    below = base_of(path, header.base)
    return header, merged(unpacked(read_safetensors(below), str(below)), own_adapters(tensors, path), str(path))


def build(config: TransformerConfig, tensors: Mapping[str, Tensor], source: str) -> Transformer:
    """A transformer whose parameters are ``tensors``. Raises WeightsError that says what disagrees."""
    with torch.device("meta"):
        model = Transformer(config)
    check_names_and_shapes(model, tensors, source)
    model.load_state_dict(tensors, assign=True)
    return model


def read_header(path: Path) -> WeightsHeader:
    """The header of a weight file written by :func:`save_transformer`. Raises WeightsError."""
    text = safetensors_file.read_header(path).metadata.get("shotstream")
    if text is None:
        raise WeightsError(f"{path}: no ShotStream header; convert it first (shotstream models convert)")
    try:
        return WeightsHeader.model_validate_json(text)
    except ValidationError as fault:
        raise WeightsError(f"{path}: header, {first_fault(fault)}; not a transformer of this version") from fault


def base_of(path: Path, base: BaseWeights) -> Path:
    """The file whose weights the adapters of ``path`` are added to. Raises WeightsError for another one."""
    beside = path.with_name(f"{base.role}.safetensors")
    try:
        found = fingerprint(beside)
    except OSError as fault:
        raise WeightsError(f"{beside}: {path.name} adds to it and it cannot be read; fetch both again") from fault
    if found != base.fingerprint:
        raise WeightsError(f"{beside}: is {found}, {path.name} adds to {base.fingerprint}; fetch both again")
    return beside
