"""Where things are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from shotstream.core.files import cache_folder, embedding_folder, model_folder, renders_folder


def test_a_variable_moves_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOTSTREAM_CACHE", str(tmp_path))
    assert model_folder("someone/model") == tmp_path / "models" / "someone--model"
    assert {embedding_folder().parent, renders_folder().parent} == {tmp_path}
    monkeypatch.setenv("SHOTSTREAM_CACHE", "~/fox")
    assert cache_folder() == Path.home() / "fox"


def test_without_it_the_system_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOTSTREAM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "shotstream"
    for ignored in ("", "caches"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == Path.home() / ".cache" / "shotstream"
