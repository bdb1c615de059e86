"""Writing is safe: the box is free at once, what is refused comes back, drafts outlive a reload, undo works."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_rig import PaintedStudio, opened, shows, state_of, wait
from studio_rig import Painter, Server

from shotstream.serving import session

PROMPT = re.compile("What happens")


def box(page):
    return page.get_by_label(PROMPT)


def value(page, wanted: str) -> None:
    wait(page, f"document.getElementById('prompt').value === {wanted!r}")


def test_the_box_is_free_at_once_and_undo_brings_back_what_was_sent(desk_page, painted: PaintedStudio) -> None:
    painted.show(desk_page, painted.film("it sits"))
    box(desk_page).fill("it walks")
    desk_page.keyboard.press("Control+Enter")
    assert box(desk_page).input_value() == ""
    desk_page.keyboard.type("the fox sits")
    shows(desk_page, "it sits", "it walks")
    assert box(desk_page).input_value() == "the fox sits"  # what is written meanwhile stays
    for _ in range(len("the fox sits") + 1):
        desk_page.keyboard.press("Control+z")
    assert box(desk_page).input_value() == "it walks"


def test_what_is_refused_comes_back_before_what_was_written_since(
    desk_page, painted: PaintedStudio, monkeypatch
) -> None:
    film = painted.film("it sits")
    painted.show(desk_page, film)
    monkeypatch.setattr(session, "MAX_QUEUE", 0)
    desk_page.evaluate("""() => {
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) { setTimeout(() => send.call(this, data), 1000); };
    }""")  # a line slow enough to write meanwhile
    box(desk_page).fill("it walks")
    desk_page.keyboard.press("Control+Enter")
    desk_page.keyboard.type("the fox sits")
    value(desk_page, "it walks\n\nthe fox sits")
    wait(desk_page, "document.getElementById('said').textContent.includes('shots are waiting')")


def test_drafts_outlive_a_reload_and_belong_to_their_film(desk_page, painted: PaintedStudio) -> None:
    first, second = painted.film("it sits"), painted.film("it walks")
    desk_page.get_by_label("Who, where, and how it looks").fill("a fox")
    box(desk_page).fill("a beginning")
    painted.show(desk_page, first)
    assert box(desk_page).input_value() == ""
    box(desk_page).fill("for the first film")
    painted.show(desk_page, second)
    assert box(desk_page).input_value() == ""
    box(desk_page).fill("for the second")
    desk_page.reload()
    value(desk_page, "for the second")
    painted.show(desk_page, first)
    value(desk_page, "for the first film")
    desk_page.get_by_role("button", name="New", exact=True).click()
    value(desk_page, "a beginning")
    assert desk_page.get_by_label("Who, where, and how it looks").input_value() == "a fox"


def test_paragraphs_become_shots(desk_page, painted: PaintedStudio) -> None:
    desk_page.get_by_label("Who, where, and how it looks").fill("a fox")
    box(desk_page).fill("it walks\n\nit sits\n\nthe fox walks")
    assert desk_page.inner_text("#shoot").startswith("Shoot 3 shots")
    desk_page.locator("#shoot").click()
    shows(desk_page, "it walks", "it sits", "the fox walks")


def test_shots_on_their_way_have_cards_at_once_and_are_made_from_the_same_block(
    desk_page, painted: PaintedStudio
) -> None:
    film = painted.film("it sits")
    painted.show(desk_page, film)
    painted.painter.gate.clear()
    painted.do(
        film, type="shoot", caption="it walks", seconds=2.1
    )  # its first block is being made, until the gate opens
    box(desk_page).fill("it walks\n\nthe fox sits")
    desk_page.keyboard.press("Control+Enter")
    wait(desk_page, "document.querySelectorAll('.strip .coming').length === 2")
    box(desk_page).fill("the fox walks")
    desk_page.keyboard.press("Control+Enter")
    desk_page.locator("#cut").click()
    wait(desk_page, "document.getElementById('cut').getAttribute('aria-busy') === 'true'")
    cards = "[...document.querySelectorAll('.strip .coming')].map((card) => card.innerText.replace(/\\s+/g, ' '))"
    assert desk_page.evaluate(cards) == [f"taken in {what}" for what in ("it walks", "the fox sits", "the fox walks")]
    painted.painter.gate.set()
    shows(desk_page, "it sits", "it walks", "it walks", "the fox sits", "the fox walks")
    wait(desk_page, "document.querySelector('.coming, [aria-busy=true]') === null")
    painted.settle(film)
    assert painted.state(film)["shots"][1]["takes"][0]["state"] == "cut"


def test_an_example_is_shot_at_once(desk_page, painted: PaintedStudio) -> None:
    desk_page.get_by_role("button", name="A fox in the snow").click()
    wait(desk_page, "document.querySelectorAll('.strip .shot').length === 1")
    assert state_of(desk_page, painted.server)["global_caption"].startswith("A red fox")


class Slow:
    """A painter that is still being loaded until ``there`` is set."""

    def __init__(self, films: Path) -> None:
        self.there = threading.Event()
        self.server = Server(self.load, films)

    def load(self) -> Painter:
        self.there.wait(60)
        return Painter()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    slow = Slow(tmp_path / "films")
    yield slow
    slow.there.set()
    slow.server.stop()


def test_shoot_waits_for_the_model_and_a_link_says_that_its_film_is_opened(browser, slow: Slow) -> None:
    with opened(browser, slow.server.url, model="loading") as page:
        page.get_by_label("Who, where, and how it looks").fill("a fox")
        box(page).fill("it walks")
        page.keyboard.press("Control+Enter")
        page.get_by_text("Your shot waits for the model.").wait_for()
        box(page).fill("it sits")
        page.keyboard.press("Control+Enter")
        box(page).fill("and more")
        slow.there.set()
        shows(page, "it walks", "it sits")
        assert box(page).input_value() == "and more"
        film = page.evaluate("location.hash")
    slow.there.clear()
    slow.server.stop()
    slow.server.start()
    with opened(browser, f"{slow.server.url}{film}", model="") as page:
        page.get_by_text("Opening your film…").wait_for()
        slow.there.set()
        shows(page, "it walks", "it sits")
