"""The studio's page, driven for measuring: a real server in a process of its own, a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shotstream.core.errors import InputError
from shotstream.tools.bench import studio
from shotstream.tools.bench.studio import studio_figures

pytest.importorskip("playwright.sync_api")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_shots_are_timed_from_the_key_to_the_picture(tiny_model: Path) -> None:
    seen, presented = studio_figures(str(tiny_model), "cpu", "float32", 2, 2)
    assert 0 < seen.p50 <= seen.p95
    assert presented is None or presented > 0


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(studio, "BROWSERS", ("no-such-browser",))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install chromium"):
        studio_figures("storyworld", "cpu", "float32", None, 1)
