"""In and out points and markers: at the playhead, by dragging a card's edge; told, undone, kept."""

from __future__ import annotations

import pytest
from page_rig import PaintedStudio, findings, wait

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
SHOTS = ("it walks", "it sits", "the fox walks")


@pytest.fixture
def film(desk_page, painted: PaintedStudio) -> str:
    """A film of three shots of nine frames, on the page."""
    film = painted.film(*SHOTS)
    painted.show(desk_page, film)
    return film


def stand(page, frame: int) -> None:
    """The playhead on a frame of the film, the keyboard nowhere."""
    page.get_by_label("Position in the film").fill(str(frame))
    page.keyboard.press("Escape")


def shown(painted: PaintedStudio, film: str, shot: int) -> tuple[int, int]:
    take = painted.state(film)["shots"][shot]["takes"][-1]
    return take["start"], take["stop"]


def test_a_shot_begins_and_ends_at_the_picture_on_the_screen(desk_page, painted, film) -> None:
    stand(desk_page, 11)  # the second shot's frame 2
    desk_page.keyboard.press("a")
    wait(desk_page, "document.getElementById('did').textContent === 'Shot 2 is 0.4 s long now.'")
    assert desk_page.input_value("#scrub") == "9"  # the same picture, earlier in the film
    stand(desk_page, 13)  # its frame 6
    desk_page.keyboard.press("z")
    wait(desk_page, "document.getElementById('scrub').max === '22'")
    assert shown(painted, film, 1) == (2, 7)
    assert desk_page.locator(".strip .length").nth(1).inner_text() == "0.3 s"
    assert "trimmed: 0.3 s of 0.6 s" in desk_page.inner_text("#shotbar-take")
    assert desk_page.locator(".is-stale").count() == 0
    desk_page.locator("#take-back").click()
    wait(desk_page, "document.getElementById('scrub').max === '24'")
    assert shown(painted, film, 1) == (2, 9)
    desk_page.get_by_role("button", name="Whole again").click()
    wait(desk_page, "document.getElementById('scrub').max === '26' && document.getElementById('whole').hidden")


def test_playing_shows_what_is_in_the_film_alone(desk_page, painted, film) -> None:
    take = painted.state(film)["shots"][0]["takes"][0]["id"]
    painted.do(film, type="trim", take=take, start=3, stop=5)
    wait(desk_page, "document.getElementById('scrub').max === '19'")
    stand(desk_page, 0)
    desk_page.keyboard.press(".")
    wait(desk_page, "document.getElementById('scrub').value === '1'")
    assert desk_page.get_attribute("#scrub", "aria-valuetext").startswith("shot 1")
    desk_page.keyboard.press(".")
    wait(desk_page, "document.getElementById('scrub').getAttribute('aria-valuetext').startsWith('shot 2')")


def test_the_edge_of_a_card_is_dragged(desk_page, painted, film) -> None:
    desk_page.get_by_role("button", name="To scale").click()
    widths = desk_page.evaluate("[...document.querySelectorAll('.strip .shot')].map(one => one.offsetWidth)")
    card = desk_page.locator(".strip .shot").nth(1)
    edge = card.locator(".edge.stop")
    edge.hover()
    at = edge.bounding_box()
    desk_page.mouse.down()
    desk_page.mouse.move(at["x"] + 4 - widths[1] / 3, at["y"] + 30, steps=4)
    wait(desk_page, "document.querySelectorAll('.strip .length')[1].textContent === '0.4 s'")
    desk_page.mouse.up()
    wait(desk_page, "document.getElementById('scrub').max === '23'")
    assert shown(painted, film, 1) == (0, 6)
    narrow = desk_page.evaluate("[...document.querySelectorAll('.strip .shot')].map(one => one.offsetWidth)")
    assert narrow[1] / narrow[0] == pytest.approx(6 / 9, abs=0.05)  # to scale
    desk_page.get_by_role("button", name="To scale").click()
    edge.hover()
    desk_page.mouse.down()
    desk_page.mouse.move(at["x"] - 60, at["y"] + 30, steps=2)
    desk_page.keyboard.press("Escape")  # lets it be
    desk_page.mouse.up()
    assert shown(painted, film, 1) == (0, 6)
    assert [shot["caption"] for shot in painted.state(film)["shots"]] == list(SHOTS)  # no card was moved


def test_a_marker_is_written_found_and_taken_away(desk_page, painted, film) -> None:
    stand(desk_page, 13)
    desk_page.keyboard.press("q")
    assert desk_page.inner_text("#mark-note") == "Shot 2, 0.3 s after it begins."
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.keyboard.type("wind \u202egnp")
    desk_page.keyboard.press("Enter")
    marker = desk_page.get_by_role("button", name="0.3 s: wind \ufffdgnp")  # nothing is turned around
    marker.wait_for()
    assert desk_page.locator(".strip .pin").count() == 1
    stand(desk_page, 16)
    marker.click()
    wait(desk_page, "document.getElementById('scrub').value === '13'")
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press("q")  # the same one again
    assert desk_page.input_value("#mark-text") == "wind \u202egnp"
    desk_page.locator("#mark-cancel").click()
    desk_page.get_by_role("button", name="Remove the marker").click()
    wait(desk_page, "document.getElementById('markers').hidden")
    desk_page.locator("#take-back").click()
    wait(desk_page, "!document.getElementById('markers').hidden")


def test_a_locked_shot_says_so_and_is_not_trimmed(desk_page, painted, film) -> None:
    painted.do(film, type="lock", shot=1, locked=True)
    stand(desk_page, 11)
    wait(desk_page, "document.getElementById('shotbar-take').textContent.startsWith('Locked')")
    assert [desk_page.locator(f"#{id}").is_disabled() for id in ("begin", "end", "retake", "edit", "delete")] == [
        True
    ] * 5
    assert desk_page.locator(".strip .shot").nth(1).locator(".edge").count() == 0
    assert desk_page.get_by_role("button", name="Shot 2: it sits, locked").count() == 1
    desk_page.keyboard.press("a")
    assert shown(painted, film, 1) == (0, 9)
