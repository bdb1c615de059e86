"""``shotstream story``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shotstream.core.geometry import Geometry
from shotstream.core.story_schema import shipped_schema

Command = Callable[..., Any]


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    director = SimpleNamespace(
        geometry=Geometry(width=256, height=160, spatial=16, latent_channels=4),
        unknown_words=lambda text: [word for word in ("zebra",) if word in text],
    )
    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(load=lambda name, device: director))
    path = tmp_path / "zebra.yaml"
    path.write_text("global_caption: A zebra.\nshots:\n- {caption: It walks., seconds: 1}\n- {caption: It walks.}\n")
    return path


def test_check_tells_lengths_words_and_weak_cuts(run: Command, story: Path) -> None:
    ran = run("story", "check", story)
    assert ran.code == 0
    assert ran.out.splitlines()[:3] == [
        "shot 0: 21 frames, 1.31 s  It walks.",
        "shot 1: 33 frames, 2.06 s  It walks.",
        "film: 54 frames, 3.38 s",
    ]
    assert "shot 0: 1 s becomes 1.31 s" in ran.out
    assert "shots 0 and 1 ask for nearly the same picture" in ran.out
    assert "words the model does not know: zebra" in ran.out


def test_check_as_json(run: Command, story: Path) -> None:
    data = json.loads(run("story", "check", story, "--json").out)
    assert (data["frames"], data["unknown_words"]) == (54, ["zebra"])
    assert [shot["frames"] for shot in data["shots"]] == [21, 33]


def test_schema(run: Command) -> None:
    assert run("story", "schema").out == shipped_schema()
