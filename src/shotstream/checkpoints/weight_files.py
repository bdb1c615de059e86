"""Lists weight files by their safetensors headers, without loading a tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

from shotstream.checkpoints.quantisation import SCALE
from shotstream.checkpoints.safetensors_file import read_header
from shotstream.core.config import Config


class WeightFile(Config):
    """One safetensors file. ``metadata`` is its header's own text, ``bytes`` the size on disk."""

    name: str
    kind: str
    version: str
    bytes: int
    parameters: int
    metadata: dict[str, str]


def bundled_files() -> list[WeightFile]:
    """The weight files that ship with the package, by name."""
    folder = Path(str(files("shotstream").joinpath("bundled")))
    return [describe_file(path) for path in sorted(folder.rglob("*.safetensors"))]


def describe_file(path: Path) -> WeightFile:
    """What ``path`` says it is. Raises :class:`WeightsError` if it is no safetensors file."""
    header = read_header(path)
    kind, version = _what(header.metadata)
    return WeightFile(
        name=path.name,
        kind=kind,
        version=version,
        bytes=header.size,
        parameters=sum(_numbers(tensor) for name, tensor in header.entries.items() if not name.endswith(SCALE)),
        metadata=header.metadata,
    )


def _numbers(entry: Mapping[str, Any]) -> int:
    """How many weights a tensor holds; unsigned bytes hold two each (see :mod:`.quantisation`)."""
    return prod(entry["shape"]) * (2 if entry["dtype"] == "U8" else 1)


def _what(metadata: dict[str, str]) -> tuple[str, str]:
    """Kind and version: codecs say them plainly, transformers inside their one JSON entry
    (:class:`shotstream.checkpoints.transformer_weights.WeightsHeader`)."""
    if "shotstream" not in metadata:
        return metadata.get("kind", "unknown"), metadata.get("version", "unknown")
    inside = json.loads(metadata["shotstream"])
    base = inside.get("base")
    kind = f"{inside['role']} {inside['kind']}"
    return f"{kind}, added to the {base['role']}" if base else kind, inside.get("version", "1")
