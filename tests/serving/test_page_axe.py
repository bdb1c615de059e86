"""Every state of the page under axe-core, light at a desk and dark on a phone: it has nothing at all to say."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from page_rig import PaintedStudio, findings, idle, opened, shoot, wait
from studio_rig import Painter

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
SHOTS = ("it walks", "it sits", "the fox walks")


def mode(page, wanted: str) -> None:
    wait(page, f"document.getElementById('screen').dataset.mode === '{wanted}'")


def dialog(page, id: str) -> None:
    wait(page, f"document.getElementById('{id}-dialog').open")


def with_film(page, painted: PaintedStudio) -> str:
    """Three shots on the page, the second with two takes, so that the third is outdated; one is locked; a branch."""
    film = painted.film(*SHOTS)
    painted.do(film, type="branch", name="another way", after=1)
    painted.do(film, type="switch", branch="main")
    painted.do(film, type="retake", shot=1)
    painted.settle(film)
    painted.do(film, type="lock", shot=0, locked=True)
    painted.show(page, film)
    return film


def live(page, painted: PaintedStudio) -> None:
    with_film(page, painted)
    painted.painter.gate.clear()
    shoot(page, "it walks in the forest")
    mode(page, "live")


def held(page, painted: PaintedStudio) -> None:
    live(page, painted)
    page.keyboard.press("Escape")
    page.keyboard.press(" ")
    mode(page, "held")


def coming(page, painted: PaintedStudio) -> None:
    """Shots and an extension that are taken in."""
    live(page, painted)
    for caption in ("it sits", "the fox sits"):
        shoot(page, caption)
    page.locator("#extend").click()
    wait(
        page,
        "document.querySelectorAll('.coming').length === 2 && document.getElementById('extend').ariaBusy === 'true'",
    )


def queue(page, painted: PaintedStudio) -> None:
    coming(page, painted)
    painted.painter.passes.release()  # they are planned when the block under work is made
    wait(page, "document.querySelectorAll('#queue li').length === 2")


def playing_back(page, painted: PaintedStudio) -> None:
    with_film(page, painted)
    page.locator("#loop").click()
    page.locator("#play").click()
    mode(page, "playing")


def pressed(*keys: str, dialog_of: str) -> Callable:
    def act(page, painted: PaintedStudio) -> None:
        with_film(page, painted)
        page.locator(".strip .see").nth(1).click()
        for key in keys:
            page.keyboard.press(key)
        dialog(page, dialog_of)

    return act


def story(page, painted: PaintedStudio) -> None:
    with_film(page, painted)
    page.locator("#story-edit").click()
    dialog(page, "edit")


def library(page, painted: PaintedStudio) -> None:
    with_film(page, painted)
    page.locator("#open-film").click()
    wait(page, "document.querySelectorAll('#library li').length > 0")
    page.get_by_role("button", name="Rename").first.click()


def told(page, painted: PaintedStudio) -> None:
    """An edit with its Undo, and words the model does not know."""
    with_film(page, painted)
    page.locator(".strip .see").nth(2).click()
    page.keyboard.press("a")
    wait(page, "!document.getElementById('take-back').hidden")
    page.get_by_label("What happens next?").fill("it wlaks to Rome")
    wait(page, "document.querySelector('#prompt-words b') !== null")


def refused(page, painted: PaintedStudio) -> None:
    page.locator("#shoot").click()
    wait(page, "!document.getElementById('toast').hidden")


STATES = {
    "empty": lambda page, painted: None,
    "cut": lambda page, painted: with_film(page, painted),
    "live": live,
    "held": held,
    "coming": coming,
    "queue": queue,
    "playing back": playing_back,
    "edit": pressed("w", dialog_of="edit"),
    "compare": pressed("v", dialog_of="compare"),
    "export": pressed("x", dialog_of="export"),
    "keys": pressed("?", dialog_of="keys"),
    "branch": pressed("b", dialog_of="branch"),
    "marker": pressed("q", dialog_of="mark"),
    "story": story,
    "library": library,
    "told": told,
    "refused": refused,
}


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(desk_page, painted: PaintedStudio, state: str) -> None:
    desk_page.emulate_media(color_scheme="light", reduced_motion="reduce")  # colours as they are, not on their way
    STATES[state](desk_page, painted)
    axe = axe_playwright.Axe()
    assert findings(axe, desk_page) == []
    desk_page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    desk_page.set_viewport_size({"width": 390, "height": 844})
    assert findings(axe, desk_page) == []


def test_axe_finds_nothing_while_the_model_is_loaded_and_while_the_studio_is_away(browser, server_of, painter) -> None:
    there = threading.Event()

    def load() -> Painter:
        there.wait(60)
        return painter

    axe, server = axe_playwright.Axe(), server_of(load)
    with opened(browser, server.url, scheme="light", model="loading") as page:
        page.get_by_label("Who, where, and how it looks").fill("a fox")
        shoot(page, "it walks")
        wait(page, "document.getElementById('empty-title').textContent.includes('waits')")
        assert findings(axe, page) == []
        there.set()
        idle(page, 1)
        server.stop()
        wait(page, "document.getElementById('model').textContent === 'Reconnecting…'")
        assert findings(axe, page) == []
        server.start()
