"""Pictures of the studio for docs/studio.md: a film directed and cut with the packaged model, seen in Chromium.

Run: ``python tests/serving/studio_pictures.py [MODEL]``. It writes ``docs/images/studio-*.webp``, in a few minutes.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from page_rig import ARGUMENTS, CHROMIUM
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from studio_rig import Server

from shotstream.api import load
from shotstream.serving.client import RemoteFilm, StudioClient
from shotstream.serving.client_messages import Branch, Lock, Mark, Switch, Trim

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STORY = "A red fox with a blue hat lives in a snowy forest at night."
SHOTS = (
    "Wide shot. The fox walks to the left through the forest.",
    "A close-up of the fox looking to the right.",
    "Medium shot. The fox waves hello.",
    "Wide shot. The fox jumps in the snow.",
    "A close-up of the fox laughing.",
)
SIZES = ((1440, 900), (1366, 768), (1920, 1080), (390, 844))
QUALITY = 50  # of WebP: text stays sharp, and all of them together are a few hundred kilobytes
PATIENCE = 3600.0
Act = Callable[[Page], None]


def to_the_timeline(page: Page) -> None:
    page.evaluate("document.getElementById('line').scrollIntoView()")
    page.evaluate("scrollBy(0, -250)")  # the picture stays above it


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
    take = film.view().shots[0].takes[0]
    film.do(Trim(take=take.id, start=0, stop=take.frames - 4))
    film.do(Mark(take=take.id, frame=6, text="the wind picks up"))
    return film


def picture(browser: Browser, url: str, name: str, size: tuple[int, int], scheme: str, act: Act | None = None) -> None:
    """The window as a person of that size sees it, the second shot picked; ``act``: what is done before."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.locator(".strip .see").nth(1).click()
    page.wait_for_timeout(2000)
    page.evaluate("scrollTo(0, 0)")  # the click may have scrolled the card into sight
    if act is not None:
        act(page)
        page.wait_for_timeout(2000)
    shown = Image.open(io.BytesIO(page.screenshot(type="png")))
    shown.convert("RGB").save(IMAGES / f"studio-{name}.webp", quality=QUALITY, method=6)
    context.close()


def main(model: str) -> None:
    with tempfile.TemporaryDirectory(prefix="studio-pictures-") as films, sync_playwright() as playwright:
        server = Server(lambda: load(model), Path(films))
        try:
            with StudioClient(server.url) as studio:
                studio.ready(PATIENCE)
                url = f"{server.url}#{direct(studio).id}"
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for size in SIZES:
                for scheme in ("light", "dark"):
                    picture(browser, url, f"{size[0]}x{size[1]}-{scheme}", size, scheme)
            picture(browser, url, "compare", (1366, 768), "light", lambda page: page.keyboard.press("v"))
            picture(browser, url, "phone-timeline", (390, 844), "light", to_the_timeline)
            browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "storyworld")
