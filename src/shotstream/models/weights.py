"""Transformer weights on disk: safetensors that say in their header what they are and what they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.core.config import Config, first_fault
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint, whole_file
from shotstream.core.packed import unpacked
from shotstream.core.weight_check import check_names_and_shapes
from shotstream.models.adapters import with_adapters
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

Role = Literal["teacher", "student", "critic"]
T = TypeVar("T")


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
    """Write ``model``, whole or not at all; ``dtype`` narrows the matrix products' weights. Raises StorageError."""
    products = model.product_names() if dtype is not None else frozenset()
    tensors = {
        name: (value.to(dtype) if name in products else value).detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"shotstream": header.model_dump_json()})


def load_transformer(
    path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, WeightsHeader]:
    """The model of ``path``, matrix products in ``dtype``, without gradients, and what the file says of it.

    The file is memory-mapped and its tensors become the parameters: nothing is copied that need not be (q, k and v
    of the layers are, into one piece).
    Raises WeightsError, one line that names the file.
    """
    header = read_header(path)
    tensors = read_tensors(path, device)
    if header.base is not None:
        tensors = with_adapters(read_tensors(base_of(path, header.base), device), tensors, str(path))
    model = build(header.config, tensors, str(path))
    return model.narrow_(dtype).requires_grad_(False).eval().fuse_(), header


def build(config: TransformerConfig, tensors: Mapping[str, Tensor], source: str) -> Transformer:
    """A transformer whose parameters are ``tensors``. Raises WeightsError that lists every disagreement."""
    with torch.device("meta"):
        model = Transformer(config)
    check_names_and_shapes(model, tensors, source)
    model.load_state_dict(tensors, assign=True)
    return model


def read_header(path: Path) -> WeightsHeader:
    """The header of a weight file written by :func:`save_transformer`. Raises WeightsError."""
    with _opened(path) as file:
        text = (file.metadata() or {}).get("shotstream")
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


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """All tensors of a safetensors file, memory-mapped; those packed into bytes as numbers. Raises WeightsError for
    a missing or damaged file."""
    with _opened(path, str(device)) as file:
        return unpacked({name: file.get_tensor(name) for name in file.keys()}, str(path))  # noqa: SIM118


def without_prefix(tensors: Mapping[str, T], prefix: str = "model.") -> dict[str, T]:
    """The reference's names to ours: those that carry its wrapper's ``prefix`` lose it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


@contextmanager
def _opened(path: Path, device: str = "cpu") -> Iterator[Any]:
    """The safetensors file, with its reader's faults turned into one line."""
    try:
        with safe_open(path, "pt", device=device) as file:
            yield file
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; fetch or train the weights first") from fault
    except (SafetensorError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise WeightsError(f"{path}: not a readable safetensors file ({said}); fetch it again") from fault
