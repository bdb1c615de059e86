"""The film in front: how large the picture is, how it is watched, and that nobody is thrown out of what is live."""

from __future__ import annotations

import re

import pytest
from page_rig import PaintedStudio, findings, shoot, wait

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
SHOTS = ("it walks", "it sits", "the fox walks")


def box(page, id: str = "screen") -> dict[str, float]:
    return page.locator(f"#{id}").bounding_box()


def place(page) -> int:
    return int(page.input_value("#scrub"))


def mode(page, wanted: str) -> None:
    wait(page, f"document.getElementById('screen').dataset.mode === '{wanted}'")


@pytest.mark.parametrize("size", [(1440, 900), (1366, 768), (1920, 1080), (1024, 700), (390, 844)])
def test_the_picture_takes_the_room_there_is(desk_page, painted: PaintedStudio, size: tuple[int, int]) -> None:
    width, height = size
    desk_page.set_viewport_size({"width": width, "height": height})
    empty = box(desk_page)
    painted.show(desk_page, painted.film(*SHOTS))
    assert desk_page.evaluate("document.documentElement.scrollWidth") <= width
    ratio = 2.0  # the painter's pictures are 64x32
    screen = box(desk_page)
    if size == (1440, 900):
        assert empty["width"] * empty["height"] >= 0.5 * width * height  # a film of 16:10 will have half the window
    if width > 960:  # a phone's picture has the whole width as it is, and no theatre
        assert screen["width"] == pytest.approx(min(width - 32 - 16 - 340, (height - 258) * ratio), abs=1)
        assert box(desk_page, "strip")["y"] < height  # and the shots are in sight
        desk_page.get_by_role("button", name="Theatre").click()
        assert box(desk_page)["width"] >= screen["width"]
    else:
        assert screen["width"] == width
        desk_page.evaluate("scrollTo(0, 500)")
        assert box(desk_page)["y"] == 0  # it stays in sight


def test_theatre_is_larger_and_shots_stay_in_sight_below_branches(desk_page, painted: PaintedStudio) -> None:
    film = painted.film(*SHOTS)
    painted.do(film, type="branch", name="another way", after=1)
    painted.show(desk_page, film)
    desk_page.set_viewport_size({"width": 1920, "height": 800})
    card = desk_page.locator(".strip .see").first.bounding_box()
    assert card["y"] + card["height"] <= 800
    before = box(desk_page)["width"]
    desk_page.get_by_role("button", name="Theatre").click()
    assert box(desk_page)["width"] > before


def test_play_pause_step_loop_and_half_speed(desk_page, painted: PaintedStudio) -> None:
    painted.show(desk_page, painted.film(*SHOTS))
    desk_page.get_by_label("Position in the film").fill("10")
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press(".")
    wait(desk_page, "document.getElementById('scrub').value === '11'")
    desk_page.keyboard.press(",")
    desk_page.keyboard.press(",")
    wait(desk_page, "document.getElementById('scrub').value === '9'")
    desk_page.locator("#screen").click()
    mode(desk_page, "playing")
    desk_page.locator("#screen").click()
    mode(desk_page, "paused")
    desk_page.get_by_role("button", name="Loop the shot").click()
    desk_page.get_by_role("button", name="Half speed").click()
    desk_page.get_by_label("Position in the film").fill("16")  # the second shot's last frame but one
    desk_page.evaluate("""() => {
        window.places = [];
        new MutationObserver(() => window.places.push(Number(document.getElementById('scrub').value)))
            .observe(document.getElementById('time'), { childList: true, characterData: true, subtree: true });
    }""")
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press(" ")
    wait(desk_page, "window.places.includes(17) && window.places.at(-1) < 16")
    desk_page.keyboard.press(" ")
    assert desk_page.evaluate("window.places.every(one => 9 <= one && one < 18)")  # the shot alone
    desk_page.get_by_role("button", name="Loop the shot").click()
    assert desk_page.evaluate("document.getElementById('half').ariaPressed") == "true"


def test_space_never_throws_one_out_of_the_live_picture(desk_page, painted: PaintedStudio) -> None:
    painted.show(desk_page, painted.film(*SHOTS))
    painted.painter.gate.clear()
    shoot(desk_page, "it walks in the forest")
    mode(desk_page, "live")
    assert desk_page.get_by_role("button", name="Live", exact=True).get_attribute("aria-pressed") == "true"
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press(" ")
    mode(desk_page, "held")
    stood = place(desk_page)
    painted.painter.gate.set()
    wait(desk_page, "document.querySelectorAll('.strip .see img').length === 4")
    assert place(desk_page) == stood  # what is made meanwhile does not come over it
    painted.painter.gate.clear()
    shoot(desk_page, "it sits in the forest")
    mode(desk_page, "live")
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press(" ")
    mode(desk_page, "held")
    desk_page.keyboard.press(" ")
    mode(desk_page, "live")
    desk_page.keyboard.press("Home")  # who looks at another shot has left by hand, and is told the way back
    mode(desk_page, "paused")
    desk_page.get_by_role("button", name="Go live").click()
    mode(desk_page, "live")
    painted.painter.gate.set()


def test_nothing_jumps_when_controls_come_and_go(desk_page, painted: PaintedStudio) -> None:
    ids = ("shoot", "play", "cut", "strip", "seconds")
    painted.show(desk_page, painted.film(*SHOTS))

    def places() -> list[tuple[float, float]]:
        return [(one["x"], one["y"]) for one in (box(desk_page, id) for id in ids)]

    before = places()
    desk_page.get_by_label("What happens next?").fill("it wlaks")
    wait(desk_page, "document.querySelector('#prompt-words button') !== null")
    assert places() == before
    desk_page.get_by_label("What happens next?").fill("")
    desk_page.locator(".strip .see").first.click()
    desk_page.keyboard.press("r")
    wait(desk_page, "document.querySelectorAll('.is-stale').length === 2")
    assert places() == before
    painted.painter.gate.clear()
    shoot(desk_page, "it walks in the forest")
    mode(desk_page, "live")
    assert places() == before
    painted.painter.gate.set()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_has_nothing_to_say_of_live_and_theatre(desk_page, painted: PaintedStudio, scheme: str, width: int) -> None:
    axe = axe_playwright.Axe()
    desk_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    desk_page.set_viewport_size({"width": width, "height": 844})
    painted.show(desk_page, painted.film(*SHOTS))
    desk_page.keyboard.press("t")
    assert findings(axe, desk_page) == []
    painted.painter.gate.clear()
    shoot(desk_page, "it walks in the forest")
    mode(desk_page, "live")
    assert findings(axe, desk_page) == []
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press(" ")
    mode(desk_page, "held")
    assert findings(axe, desk_page) == []
    painted.painter.gate.set()


def test_a_machine_that_is_too_slow_is_told_so_and_offered_fewer_steps(desk_page, painted, monkeypatch) -> None:
    painted.show(desk_page, painted.film(*SHOTS))
    monkeypatch.setattr(painted.painter, "block_seconds", 1.5)
    desk_page.get_by_label("Shot length").select_option("endless")
    shoot(desk_page, "it walks in the forest")
    wait(desk_page, "/^Making \\d+ of 16 frames\\/s$/.test(document.getElementById('slow-text').textContent)")
    wait(desk_page, "/^\\d+ of \\d+$/.test(document.getElementById('meter-time').textContent)")
    assert findings(axe_playwright.Axe(), desk_page) == []
    assert desk_page.input_value("#steps") == "4"
    desk_page.get_by_role("button", name=re.compile("^Use [23] steps of 4")).click()
    wait(desk_page, "/^Blocks are made in [23] steps now/.test(document.getElementById('told').textContent)")
    assert painted.painter.steps == int(desk_page.input_value("#steps")) < 4
    desk_page.get_by_role("button", name="Stop").click()
    wait(desk_page, "document.getElementById('stop').disabled")
    assert desk_page.locator("#slow").is_hidden()
    desk_page.get_by_label("Steps of a block").select_option("4")
    wait(desk_page, "document.getElementById('told').textContent === 'Blocks are made in 4 steps now.'")
    assert painted.painter.steps == 4
