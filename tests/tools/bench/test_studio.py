"""The studio's page, driven for measuring: a real server in a process of its own, a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shotstream.core.errors import InputError
from shotstream.serving.metrics import Metrics
from shotstream.tools.bench import studio
from shotstream.tools.bench.studio import _cadence, studio_figures

pytest.importorskip("playwright.sync_api")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_shots_are_timed_from_the_key_to_the_picture(tiny_model: Path) -> None:
    seen = studio_figures(str(tiny_model), "cpu", "float32", 2, 2, beside=1)
    assert 0 < seen.shoot_to_first_frame.p50 <= seen.shoot_to_first_frame.p95
    assert seen.presented_fps is None or seen.presented_fps > 0
    assert seen.blocks_due >= seen.blocks_late >= 0 and seen.stood_seconds >= 0
    assert seen.blocks_due == 0 or (seen.block_interval is not None and 0 < seen.block_interval.p50 < 60)


def test_the_cadence_is_what_the_studio_counted() -> None:
    metrics = Metrics()
    for late, interval in ((-0.1, 0.71), (-0.2, 0.72), (-0.1, 0.73), (0.5, 1.4)):
        metrics.kept_time(late, interval)
    kept = _cadence(metrics.page(viewers=0, ready=True, occupied=None).decode())
    assert (kept["blocks_due"], kept["blocks_late"], kept["stood_seconds"]) == (4, 1, 0.5)
    assert 0.7 < kept["block_interval"].p50 < 0.75 and 1.25 < kept["block_interval"].p95 <= 1.5
    assert _cadence(Metrics().page(viewers=0, ready=True, occupied=None).decode())["block_interval"] is None


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(studio, "BROWSERS", ("no-such-browser",))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install chromium"):
        studio_figures("storyworld", "cpu", "float32", None, 1)
