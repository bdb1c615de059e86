"""A folder of shards that belongs to what its description says, and to nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shotstream.core.files import make_folder, write_text


def claim(description: Path, wanted: Mapping[str, Any]) -> None:
    """Make the folder of the file ``description`` one made by ``wanted``: shards made by something else go."""
    make_folder(description.parent)
    text = json.dumps(wanted, sort_keys=True)
    if _described(description) != json.loads(text):
        for stale in description.parent.glob("shard-*.safetensors"):
            stale.unlink()
        write_text(description, text)


def shard_file(folder: Path, number: int) -> Path:
    """Where shard ``number`` of ``folder`` is, or will be."""
    return folder / f"shard-{number:05d}.safetensors"


def _described(description: Path) -> Any:
    """What the file says; None if there is none, or nobody can tell."""
    try:
        return json.loads(description.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
