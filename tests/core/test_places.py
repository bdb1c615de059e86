"""Where things are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from shotstream.core.places import embedding_folder, home, model_folder


def test_a_variable_moves_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOTSTREAM_HOME", raising=False)
    assert home() == Path.home() / ".cache" / "shotstream"
    monkeypatch.setenv("SHOTSTREAM_HOME", str(tmp_path))
    assert model_folder("someone/model") == tmp_path / "models" / "someone--model"
    assert embedding_folder().parent == tmp_path
    monkeypatch.setenv("SHOTSTREAM_HOME", "~/fox")
    assert home() == Path.home() / "fox"
