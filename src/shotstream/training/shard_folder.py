"""A folder of shards that belongs to what its description says, and to nothing else."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.files import make_folder, write_text


def claim(description: Path, wanted: str) -> None:
    """Make the folder of the file ``description`` one made by ``wanted``: shards made by something else go."""
    make_folder(description.parent)
    if not description.exists() or description.read_text(encoding="utf-8") != wanted:
        for stale in description.parent.glob("shard-*.safetensors"):
            stale.unlink()
        write_text(description, wanted)
