"""``shotstream data``: the world on disk and on one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

Command = Callable[..., Any]


def test_world_writes_a_manifest(run: Command, tmp_path: Path) -> None:
    ran = run("data", "world", "--stories", 1, "--out", tmp_path / "world", "--workers", 0)
    assert ran.code == 0, ran.err
    manifest = Path(ran.out.strip())
    assert manifest.parent == tmp_path / "world"
    assert len(manifest.read_text().splitlines()) == 2, "a header and one story"


def test_sheet(run: Command, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert run("data", "sheet", "--stories", 2, "--out", path, "--split", "held-out").out == f"{path}\n"
    with Image.open(path) as image:
        assert image.width > 256
    assert run("data", "sheet", "--out", path).code == 2
