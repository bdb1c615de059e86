"""The header of a safetensors file: what is in it and where, read without touching a tensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shotstream.core.errors import WeightsError

MAX_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True, slots=True)
class Header:
    """``entries``: name -> dtype, shape, data_offsets, as the file has them; ``data``: where the offsets count from."""

    entries: dict[str, dict[str, Any]]
    metadata: dict[str, str]
    data: int
    size: int  # bytes of the file


def read_header(path: Path) -> Header:
    """The header of ``path``. Raises :class:`WeightsError` if it is no safetensors file."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER:
                raise ValueError("no safetensors header")
            entries = json.loads(file.read(length))
            metadata = entries.pop("__metadata__", {})
            return Header(entries, metadata, 8 + length, path.stat().st_size)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; name one that is there") from fault
    except (OSError, ValueError, AttributeError) as fault:
        raise WeightsError(f"{path}: not a readable weight file ({fault}); fetch it again") from fault
