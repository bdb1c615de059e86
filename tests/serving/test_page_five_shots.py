"""The same film of five shots from the empty page, whichever way the page is worked."""

from __future__ import annotations

import pytest
from page_rig import PaintedStudio, findings, idle, opened, state_of

pytest.importorskip("playwright.sync_api")
axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
from five_shots import PHONE, SHOT, WAYS  # noqa: E402  it needs Playwright

from shotstream.data.world.captions import vocabulary  # noqa: E402


@pytest.mark.parametrize("way", WAYS)
def test_a_film_of_five_shots(browser, painted: PaintedStudio, monkeypatch, way: str) -> None:
    monkeypatch.setattr(painted.painter, "known_words", vocabulary)
    width, height = PHONE if way == "phone" else (1440, 900)
    with opened(browser, painted.server.url, width=width, height=height, touch=way == "phone", model="painter") as page:
        WAYS[way](page)
        idle(page, 5)
        film = state_of(page, painted.server)
        written = [shot["caption"] for shot in film["shots"]]
        assert written[0].rstrip(".") == SHOT.rstrip(".") and len(set(written)) == 5
        assert "fox" in film["global_caption"] and all("fox" in caption for caption in written)
        assert film["queue"] == [] and all(shot["chosen"] is not None for shot in film["shots"])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert findings(axe_playwright.Axe(), page) == []
