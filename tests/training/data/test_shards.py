"""Shards stay while their description says the same, in whatever order, and go when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shotstream.training.data.shards import claim


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    claim(tmp_path / "made" / "latents.json", {"seed": 1, "size": (256, 160)})
    path = tmp_path / "made" / "shard-00000.safetensors"
    path.write_bytes(b"numbers")
    return path


def test_the_same_in_another_order_keeps_them(shard: Path) -> None:
    description = shard.with_name("latents.json")
    description.write_text(json.dumps({"size": [256, 160], "seed": 1}))
    claim(description, {"seed": 1, "size": (256, 160)})
    assert shard.read_bytes() == b"numbers"


@pytest.mark.parametrize("said", [json.dumps({"seed": 2, "size": [256, 160]}), "{", "", "\xff", None])
def test_anything_else_does_not(shard: Path, said: str | None) -> None:
    description = shard.with_name("latents.json")
    description.unlink()
    if said is not None:
        description.write_text(said, encoding="latin-1")
    claim(description, {"seed": 1, "size": (256, 160)})
    assert not shard.exists()
    assert json.loads(description.read_text()) == {"seed": 1, "size": [256, 160]}
