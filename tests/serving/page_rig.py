"""The studio's page in Chromium: what its tests press, and what they wait for."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from studio_rig import PATIENCE, Painter, Server, until

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXPECTED = re.compile("ERR_CONN|Failed to load resource")  # a server that is away, a file that is refused
STORY = "a red fox in the forest"
SHORT = 0.5625  # one block


class PaintedStudio:
    """A studio of a painter, and films made in it over HTTP."""

    def __init__(self, films: Path) -> None:
        self.painter = Painter()
        self.server = Server(lambda: self.painter, films)
        with httpx.Client() as client:
            until(lambda: client.get(f"{self.server.url}readyz").status_code == 200)

    def ask(self, method: str, path: str, data: dict | None = None) -> dict:
        """What the API answers."""
        answer = httpx.request(method, f"{self.server.url}api/{path}", json=data)
        assert answer.is_success, answer.text
        return answer.json()

    def do(self, film: str, **command: object) -> None:
        self.ask("POST", f"films/{film}/commands", command)

    def film(self, *captions: str, seconds: float = SHORT) -> str:
        """A film of these shots, made; its id."""
        id = self.ask("POST", "films", {"global_caption": STORY, "seed": 7})["id"]
        for caption in captions:
            self.do(id, type="shoot", caption=caption, seconds=seconds)
        self.settle(id)
        return id

    def state(self, film: str) -> dict:
        return self.ask("GET", f"films/{film}")

    def delete(self, film: str) -> None:
        assert httpx.delete(f"{self.server.url}api/films/{film}").status_code == 204

    def settle(self, film: str) -> None:
        """Nothing of ``film`` is left to make."""
        until(lambda: (state := self.state(film))["running"] is None and not state["queue"])

    def show(self, page, film: str) -> None:
        """Let ``page`` show ``film``."""
        page.goto(f"{self.server.url}#{film}")
        page.reload()
        wait(page, "document.querySelectorAll('.strip .shot').length > 0")


@contextmanager
def opened(
    browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 860,
    scheme: str = "dark",
    touch: bool = False,
    script: str = "",
    model: str = "tiny",
) -> Iterator[object]:
    """A page at ``url`` of a studio with ``model``; whatever the browser complains about fails the test.

    script: run before the page's own.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch)
    context.set_default_timeout(PATIENCE * 1000)
    context.add_init_script(script)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if said.type == "error" and not EXPECTED.search(said.text) else None,
    )
    page.goto(url)
    wait(page, f"document.getElementById('model').textContent.startsWith('{model}')")
    yield page
    context.close()
    assert faults == [], faults


def wait(page, expression: str) -> None:
    """Until ``expression`` holds. Playwright's own waiting evaluates text in the page, which its policy forbids."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it did not happen: {expression}; the page says: {page.text_content('#said')}")


def shoot(page, caption: str) -> None:
    page.get_by_label(re.compile("What happens")).fill(caption)
    page.keyboard.press("Control+Enter")
    wait(page, "document.getElementById('prompt').value === ''")


def begin(page, caption: str, seconds: str = "") -> None:
    page.get_by_label("Who, where, and how it looks").fill(STORY)
    shoot(page, caption)
    if seconds:
        page.get_by_label("Shot length").select_option(seconds)


def idle(page, shots: int) -> None:
    """Every shot is made and nothing waits."""
    wait(
        page,
        f"document.querySelectorAll('.strip .see img').length === {shots} && document.getElementById('stop').disabled",
    )


def state_of(page, server: Server) -> dict:
    film = page.evaluate("location.hash.slice(1)")
    return page.request.get(f"{server.url}api/films/{film}").json()


def captions(page) -> list[str]:
    """The shots on the timeline, as they are drawn."""
    return page.evaluate("[...document.querySelectorAll('.strip .what')].map(one => one.textContent)")


def shows(page, *wanted: str) -> None:
    """Until these shots are on the timeline, in this order."""
    wait(
        page,
        f"JSON.stringify([...document.querySelectorAll('.strip .what')].map(one => one.textContent)) === "
        f"{json.dumps(json.dumps(wanted, separators=(',', ':')))}",
    )


def picture(page, canvas: str = "canvas") -> str:
    return page.evaluate(f"document.getElementById('{canvas}').toDataURL()")


def drawn(page, path: str) -> str:
    """What a canvas holds that shows the picture at ``path`` of the page's film."""
    return page.evaluate(
        """async (path) => {
          const blob = await (await fetch(`api/films/${location.hash.slice(1)}/${path}`)).blob();
          const bitmap = await createImageBitmap(blob);
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
          canvas.getContext("2d").drawImage(bitmap, 0, 0);
          return canvas.toDataURL();
        }""",
        path,
    )


def findings(axe, page) -> list[str]:
    """Everything axe has to say."""
    found = axe.run(page).response["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html']}" for one in found]
