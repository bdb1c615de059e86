"""Pictures of the studio for docs/studio.md: a film directed and cut with the packaged model, seen in Chromium.

Run: ``python tests/serving/studio_pictures.py [MODEL]``. It writes ``docs/images/studio-*.jpg``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from page_rig import ARGUMENTS, CHROMIUM
from playwright.sync_api import Browser, Page, sync_playwright
from studio_rig import Server

from shotstream.api import load
from shotstream.serving.client import RemoteFilm, StudioClient
from shotstream.serving.edit_commands import Branch, Lock, Switch

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STORY = "A red fox with a blue hat lives in a snowy forest at night."
SHOTS = (
    "Wide shot. The fox walks to the left through the forest.",
    "A close-up of the fox looking to the right.",
    "Medium shot. The fox waves hello.",
    "Wide shot. The fox jumps in the snow.",
    "A close-up of the fox laughing.",
)
PATIENCE = 3600.0


def direct(studio: StudioClient) -> RemoteFilm:
    """Five shots; the second retaken, so that later ones are stale; the last locked; another way from the third."""
    film = studio.begin(STORY, seed=7)
    for caption in SHOTS:
        film.shoot(caption, seconds=1.3)
    film.wait(PATIENCE)
    film.do(Branch(name="the fox sleeps", after=2))
    film.shoot("Wide shot. The fox sleeps under a tree.", seconds=1.3)
    film.wait(PATIENCE)
    film.do(Switch(branch="main"))
    film.retake(1)
    film.wait(PATIENCE)
    film.do(Lock(shot=4, locked=True))
    return film


def picture(browser: Browser, url: str, name: str, width: int, scheme: str, act: Callable[[Page], None]) -> None:
    """One picture of the whole page, at twice the size on a phone."""
    scale = 2 if width < 600 else 1
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, device_scale_factor=scale
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.locator(".strip .see").nth(1).click()
    page.wait_for_timeout(4000)
    act(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2000)
    height = 900 if name == "compare" else page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 1500)}  # of a phone's page, as far as the timeline
    page.screenshot(path=IMAGES / f"studio-{name}.jpg", type="jpeg", quality=86, full_page=True, clip=clip)
    context.close()


def main(model: str) -> None:
    with tempfile.TemporaryDirectory(prefix="shotstream-") as films, sync_playwright() as playwright:
        server = Server(lambda: load(model), Path(films))
        try:
            with StudioClient(server.url) as studio:
                studio.ready(PATIENCE)
                url = f"{server.url}#{direct(studio).id}"
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            picture(browser, url, "light", 1360, "light", lambda page: None)
            picture(browser, url, "compare", 1360, "dark", lambda page: page.keyboard.press("v"))
            picture(browser, url, "phone", 390, "dark", lambda page: None)
            browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "storyworld")
