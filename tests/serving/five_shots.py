"""A film of five shots, directed from the empty page: by mouse, by keyboard, and with a thumb on a narrow phone.

Run: ``python tests/serving/five_shots.py [MODEL]``. It says how many seconds each way takes with a real model.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from page_rig import ARGUMENTS, CHROMIUM, idle, opened, wait
from playwright.sync_api import Locator, Page, sync_playwright
from studio_rig import Server

from shotstream.api import load
from shotstream.serving.client import StudioClient

STORY = "A red fox lives in a forest."
SHOT = "Wide shot. The fox walks."
KEY = 30  # milliseconds: a quick typist
PHONE = (360, 740)


def by_mouse(page: Page) -> None:
    """Nothing is typed: words are pressed, then suggestions."""
    page.locator("#caption").click()
    for group, word in (("Colour", "red"), ("Who", "fox"), ("Where", "in a forest")):
        chip(page, group, word)
    page.locator("#prompt").click()
    for group, word in (("Framing", "Wide shot."), ("Who", "fox"), ("Action", "walks")):
        chip(page, group, word)
    page.locator("#shoot").click()
    by_suggestions(page, Locator.click)


def by_keyboard(page: Page) -> None:
    """N to write, G for a suggestion, Ctrl Enter to shoot."""
    page.keyboard.press("n")
    page.keyboard.type(SHOT, delay=KEY)
    page.keyboard.press("Control+Enter")  # the page asks for the story, and puts the pen there
    page.keyboard.type(STORY, delay=KEY)
    page.keyboard.press("Control+Enter")
    for shots in range(1, 5):
        shot(page, shots)
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        wait(page, "document.getElementById('prompt').value !== ''")
        page.keyboard.press("Control+Enter")
    shot(page, 5)


def by_touch(page: Page) -> None:
    """On a phone: typed with its keyboard, everything else tapped."""
    page.locator("#caption").tap()
    page.keyboard.type(STORY, delay=KEY)
    page.locator("#prompt").tap()
    page.keyboard.type(SHOT, delay=KEY)
    page.locator("#shoot").tap()
    by_suggestions(page, Locator.tap)


WAYS = {"mouse": by_mouse, "keyboard": by_keyboard, "phone": by_touch}


def by_suggestions(page: Page, press: Callable[[Locator], None]) -> None:
    """Four more shots, each a suggestion as it is."""
    for shots in range(1, 5):
        shot(page, shots)
        press(page.locator("#offers button").nth(shots % 2))
        press(page.locator("#shoot"))
    shot(page, 5)


def chip(page: Page, group: str, word: str) -> None:
    page.locator("#palette-groups").get_by_role("button", name=group).click()
    page.locator("#palette-words").get_by_role("button", name=word, exact=True).click()


def shot(page: Page, count: int) -> None:
    """There are so many shots, and the box is free for the next."""
    wait(page, f"document.querySelectorAll('.strip .shot').length === {count}")
    wait(page, "document.getElementById('prompt').value === ''")


def main(model: str) -> None:
    with tempfile.TemporaryDirectory(prefix="five-shots-") as films, sync_playwright() as playwright:
        server = Server(lambda: load(model), Path(films))
        try:
            with StudioClient(server.url) as studio:
                name = studio.ready().name
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for way, direct in WAYS.items():
                width, height = PHONE if way == "phone" else (1440, 900)
                with opened(browser, server.url, width=width, height=height, touch=way == "phone", model=name) as page:
                    began = time.monotonic()
                    direct(page)
                    idle(page, 5)
                    print(f"{way}: {time.monotonic() - began:.0f} s")
            browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "storyworld")
