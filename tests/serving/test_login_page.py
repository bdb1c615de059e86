"""The login page in Chromium: a browser's own headers, its cookie, and a page everybody can use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from studio_rig import Painter, Server

from shotstream.serving.app import make_app

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
sync_api = pytest.importorskip("playwright.sync_api")
axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
TOKEN = "a-token-nobody-knows"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


class Locked(Server):
    """A studio that asks for TOKEN."""

    def app(self) -> ASGIApp:
        return make_app(self.load, self.films, self.port, token=TOKEN)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Locked(Painter, tmp_path / "films")
    yield server
    server.stop()


def test_a_person_logs_in(server: Server) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(server.url)
        assert page.url == f"{server.url}login"
        found = axe_playwright.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        for token, wrong in (("not the token at all", True), (TOKEN, False)):
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Enter the studio").click()
            assert page.get_by_role("alert").first.is_visible() == wrong
        page.wait_for_url(server.url)
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("fetch('/api/films').then((answer) => answer.status)") == 200
        opened = (
            "new Promise((done) => { const s = new WebSocket(`ws://${location.host}/ws`); s.onopen = () => done(1) })"
        )
        assert page.evaluate(opened) == 1
        browser.close()
