"""The cutting room in Chromium: every edit by hand and by key, with a real, tiny model behind it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from page_rig import SHORT, STORY, captions, drawn, findings, idle, opened, shoot, shows, state_of, wait
from pypdf import PdfReader
from studio_rig import Server, until

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
SHOTS = ("it walks", "it sits", "it sleeps")
LONG = 5.0625


def command(page, server: Server, film: str, **fields: object) -> None:
    answer = page.request.post(f"{server.url}api/films/{film}/commands", data=fields)
    assert answer.status == 202, answer.text()


def film_of(page, server: Server, shots: tuple[str, ...] = SHOTS) -> str:
    """A made film of short shots; its id."""
    film = page.request.post(f"{server.url}api/films", data={"global_caption": STORY, "seed": 7}).json()["id"]
    for caption in shots:
        command(page, server, film, type="shoot", caption=caption, seconds=SHORT)
    until(lambda: settled(page, server, film))
    return film


def settled(page, server: Server, film: str) -> bool:
    state = page.request.get(f"{server.url}api/films/{film}").json()
    return state["running"] is None and not state["queue"]


def shown_of(film: dict) -> int:
    """Frames there are of the running take."""
    return sum(take["frames"] for shot in film["shots"] for take in shot["takes"] if take["state"] == "running")


@pytest.fixture
def cut(browser, server: Server, page) -> Iterator[object]:
    """A page that shows a film of three shots."""
    film = film_of(page, server)
    with opened(browser, f"{server.url}#{film}") as shown:
        idle(shown, 3)
        yield shown


def pick(page, index: int) -> None:
    page.locator(".strip .see").nth(index).click()
    wait(page, f"document.querySelectorAll('.shot')[{index}].classList.contains('selected')")


def drag(page, index: int, to: int, *, give_up: bool = False) -> None:
    """Take card ``index`` by its picture and let it go over the far half of card ``to``."""
    source, target = (page.locator(".strip .shot").nth(one).bounding_box() for one in (index, to))
    page.mouse.move(source["x"] + 60, source["y"] + 50)
    page.mouse.down()
    away = target["x"] + (target["width"] - 10 if to > index else 10)
    page.mouse.move(source["x"] + 75, source["y"] + 52, steps=2)
    page.mouse.move(away, target["y"] + 50, steps=6)
    if give_up:
        page.keyboard.press("Escape")
    page.mouse.up()


def presses(page, server: Server, key: str, done: str) -> int:
    """How often ``key`` can be pressed until button ``done`` has nothing more to do."""
    page.evaluate("document.activeElement.blur()")
    count = 0
    while not page.evaluate(f"document.getElementById('{done}').disabled"):
        page.evaluate("document.getElementById('told').textContent = ''")
        page.keyboard.press(key)
        wait(page, "document.getElementById('told').textContent !== ''")  # it is done
        state = state_of(page, server)
        for which in ("undo", "redo"):
            wait(page, f"document.getElementById('{which}').disabled === {json.dumps(state[which] is None)}")
        count += 1
        assert count < 40
    return count


def test_reorder_by_drag_and_by_keyboard_undo_to_the_beginning_and_redo(cut, server) -> None:
    drag(cut, 2, 0)
    shows(cut, "it sleeps", "it walks", "it sits")
    drag(cut, 0, 1, give_up=True)
    assert captions(cut) == ["it sleeps", "it walks", "it sits"]
    drag(cut, 0, 1)
    shows(cut, "it walks", "it sleeps", "it sits")
    pick(cut, 2)
    cut.locator(".strip .see").nth(2).focus()
    cut.keyboard.press("Alt+ArrowLeft")
    shows(cut, "it walks", "it sits", "it sleeps")
    assert cut.evaluate("document.activeElement.ariaLabel").startswith("Shot 2: it sits")  # the keyboard went along
    cut.keyboard.press("d")
    shows(cut, "it walks", "it sits", "it sits", "it sleeps")
    cut.keyboard.press("Delete")
    shows(cut, "it walks", "it sits", "it sleeps")
    before = state_of(cut, server)
    assert presses(cut, server, "Control+z", "undo") == 8  # three shots, three moves, a copy, a deletion
    assert state_of(cut, server)["shots"] == [] and captions(cut) == []
    assert cut.get_by_role("button", name="Redo: new shot").is_visible()
    assert presses(cut, server, "Control+Shift+z", "redo") == 8
    until(lambda: settled(cut, server, before["id"]))
    assert state_of(cut, server)["shots"] == before["shots"]
    shows(cut, "it walks", "it sits", "it sleeps")


def test_reorder_with_a_finger(browser, server, page) -> None:
    film = film_of(page, server, SHOTS[:2])
    with opened(browser, f"{server.url}#{film}", width=360, touch=True) as phone:
        idle(phone, 2)
        pick(phone, 1)
        phone.locator(".grip").nth(1).scroll_into_view_if_needed()
        grip = phone.locator(".grip").nth(1).bounding_box()
        x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
        touch = phone.context.new_cdp_session(phone)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 11):  # to the strip's left end
            point = {"x": x + (20 - x) * step / 10, "y": y}
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        shows(phone, "it sits", "it walks")


def test_branch_from_a_shot_and_back(cut, server) -> None:
    pick(cut, 0)
    cut.keyboard.press("b")
    cut.get_by_label("Name of the branch").fill("the owl")
    cut.keyboard.press("Enter")
    shows(cut, "it walks")
    shoot(cut, "the owl sits")
    idle(cut, 2)
    main = cut.get_by_role("button", name="Branch main: 3 shots, 1 in common with this one")
    main.click()
    shows(cut, *SHOTS)
    state = state_of(cut, server)
    assert state["branch"] == "main"
    assert state["branches"] == [
        {"name": "main", "shots": 3, "shared": 3},
        {"name": "the owl", "shots": 2, "shared": 1},
    ]
    cut.get_by_role("button", name="Remove branch the owl").click()
    wait(cut, "document.getElementById('branches').hidden")
    cut.get_by_role("button", name="Undo: dropped branch").click()
    cut.get_by_role("button", name="Branch the owl: 2 shots").click()
    shows(cut, "it walks", "the owl sits")


def test_what_is_stale_is_seen_and_remade_but_for_what_is_locked(cut, server) -> None:
    pick(cut, 2)
    cut.keyboard.press("k")
    cut.get_by_role("button", name="Unlock").wait_for()
    assert cut.locator("#retake").is_disabled() and cut.locator("#delete").is_disabled()
    pick(cut, 0)
    cut.keyboard.press("r")
    wait(cut, "document.querySelectorAll('.is-stale').length === 2")
    assert "2 shots made before" in cut.inner_text("#stale-text")
    assert cut.locator(".shot .stale").count() == 1  # the locked one stays as it is
    cut.get_by_role("button", name="Remake outdated shots").click()
    until(lambda: len(state_of(cut, server)["shots"][1]["takes"]) == 2)
    until(lambda: settled(cut, server, state_of(cut, server)["id"]))
    shots = state_of(cut, server)["shots"]
    assert [len(shot["takes"]) for shot in shots] == [2, 2, 1]
    assert [shot["stale"] for shot in shots] == [False, False, True]
    assert shots[1]["takes"][0]["seed"] == shots[1]["takes"][1]["seed"]
    pick(cut, 2)
    cut.get_by_role("button", name="Unlock").click()
    wait(cut, "!document.getElementById('remake-stale').disabled")
    cut.keyboard.press("m")
    wait(cut, "document.getElementById('stale').hidden && document.getElementById('stop').disabled")


def test_two_takes_side_by_side(cut, server) -> None:
    pick(cut, 1)
    assert cut.locator("#compare").is_disabled()
    cut.keyboard.press("r")
    cut.get_by_role("button", name="Take 2 of shot 2").wait_for()
    cut.keyboard.press("v")
    cut.get_by_role("button", name="Pause both").click()
    wait(cut, "document.querySelector('#compare-scrub').max === '8'")
    cut.get_by_label("Position in both takes").fill("0")
    takes = state_of(cut, server)["shots"][1]["takes"]
    first = [drawn(cut, f"takes/{take['id']}/frames/0") for take in takes]
    assert first[0] != first[1]
    for side, wanted in zip("ab", first, strict=True):
        wait(cut, f"document.getElementById('compare-{side}').toDataURL() === {wanted!r}")
    cut.get_by_role("button", name="Play both").click()
    wait(cut, f"document.getElementById('compare-a').toDataURL() !== {first[0]!r}")
    wait(cut, f"document.getElementById('compare-b').toDataURL() !== {first[1]!r}")
    cut.get_by_label("Take at the right", exact=True).select_option("1")
    cut.get_by_role("button", name="Pause both").click()
    cut.get_by_label("Position in both takes").fill("0")
    wait(cut, "document.getElementById('compare-a').toDataURL() === document.getElementById('compare-b').toDataURL()")
    cut.get_by_role("button", name="Use this take").first.click()
    wait(cut, "document.querySelector('#compare-a-use').textContent === 'In the film'")
    assert state_of(cut, server)["shots"][1]["chosen"] == 1
    with cut.expect_download() as download:
        cut.get_by_role("link", name="Save side by side as MP4").click()
    assert download.value.suggested_filename.endswith("-shot-2-takes.mp4")
    cut.get_by_role("button", name="Close").click()
    cut.keyboard.press("]")
    wait(cut, "document.querySelector('[aria-label=\"Take 2 of shot 2\"]').ariaPressed === 'true'")


def test_pause_insert_and_what_is_refused(cut, server) -> None:
    pick(cut, 1)
    cut.keyboard.press("i")
    cut.get_by_label("What happens before shot 2?").fill("the owl walks")
    assert cut.inner_text("#shoot").startswith("Insert")
    cut.locator("#shoot").click()
    shows(cut, "it walks", "the owl walks", "it sits", "it sleeps")
    idle(cut, 4)
    cut.get_by_label("Shot length").select_option(str(LONG))
    for caption in ("it sleeps in the snow", "the owl sits"):
        shoot(cut, caption)
    pick(cut, 0)  # and look away: a slow machine's browser is busy enough
    until(lambda: shown_of(state_of(cut, server)) > 0)
    command(cut, server, state_of(cut, server)["id"], type="extend", blocks=40)  # time for a slow machine's browser
    cut.get_by_role("button", name="Pause the queue").click()
    cut.get_by_role("button", name="Resume the queue").wait_for()
    cut.get_by_role("button", name="Cut").click()
    wait(cut, "document.getElementById('making').textContent === '1 waiting, queue paused'")
    assert state_of(cut, server)["running"] is None
    cut.get_by_role("button", name="Remove the queued take of shot 6").click()
    wait(cut, "document.querySelectorAll('.strip .shot').length === 5")
    cut.get_by_role("button", name="Resume the queue").click()
    wait(cut, "document.getElementById('making').textContent === ''")
    shown = captions(cut)
    command(cut, server, state_of(cut, server)["id"], type="lock", shot=0, locked=True)
    pick(cut, 0)
    wait(cut, "document.getElementById('delete').disabled")
    cut.evaluate("document.getElementById('delete').disabled = false")  # a rule the page does not know
    cut.locator("#delete").click()
    wait(cut, "document.getElementById('said').textContent.includes('shot 1 is locked')")
    assert captions(cut) == shown
    cut.evaluate("document.getElementById('unsay').click()")  # it would go by itself, too
    assert cut.locator("#toast").is_hidden()


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_axe_has_nothing_to_say_of_the_cutting_room(browser, server, page, scheme, width) -> None:
    film = film_of(page, server, SHOTS[:2])
    for fields in ({"type": "retake", "shot": 0}, {"type": "branch", "name": "other", "after": 0}):
        command(page, server, film, **fields)
        until(lambda: settled(page, server, film))
    command(page, server, film, type="switch", branch="main")
    command(page, server, film, type="lock", shot=0, locked=True)
    axe = axe_playwright.Axe()
    with opened(browser, f"{server.url}#{film}", width=width, scheme=scheme) as shown:
        idle(shown, 2)
        pick(shown, 0)
        assert shown.locator(".badge").count() == 1
        assert findings(axe, shown) == []
        for key, dialog in (("v", "compare"), ("x", "export"), ("?", "keys"), ("b", "branch")):
            shown.keyboard.press(key)
            wait(shown, f"document.getElementById('{dialog}-dialog').open")
            assert findings(axe, shown) == [], dialog
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, dialog
            box = shown.evaluate(
                f"(one => [one.scrollWidth, one.clientWidth])(document.getElementById('{dialog}-dialog'))"
            )
            assert box[0] <= box[1], dialog
            shown.keyboard.press("Escape")
        shown.goto(f"{server.url}sheet.html#{film}")
        wait(shown, "!document.getElementById('print').disabled")
        assert findings(axe, shown) == []


def test_a_contact_sheet_to_print(cut, server) -> None:
    cut.keyboard.press("x")
    with cut.expect_popup() as popup:
        cut.get_by_role("link", name="Contact sheet").click()
    sheet = popup.value
    wait(sheet, "document.getElementById('print')?.disabled === false")  # the popup is there before its document
    assert sheet.evaluate("[...document.images].filter(one => one.naturalWidth > 0).length") == 12
    printed = PdfReader(io.BytesIO(sheet.pdf(prefer_css_page_size=True)))
    assert [round(float(side) / 72 * 25.4) for side in printed.pages[0].mediabox[2:]] == [210, 297]  # A4
    text = " ".join(printed.pages[0].extract_text().split())
    assert STORY in text and all(f"{number}. {caption}" in text for number, caption in enumerate(SHOTS, 1))
    assert "Print" not in text and len(printed.pages[0].images) == 12


def test_the_studio_is_told_nothing_by_keys_that_are_switched_off(cut, server) -> None:
    cut.keyboard.press("?")
    cut.get_by_label("Single letters act").uncheck()
    cut.get_by_role("button", name="Close").click()
    cut.keyboard.press("d")
    cut.keyboard.press("Alt+ArrowLeft")
    shows(cut, "it walks", "it sleeps", "it sits")
    assert len(state_of(cut, server)["shots"]) == 3


def test_a_film_that_is_not_there_is_said(browser, server) -> None:
    with opened(browser, f"{server.url}#0123456789ab") as shown:
        wait(shown, "document.getElementById('said').textContent === 'there is no such film'")
        assert shown.locator("#empty").is_visible()
        assert "#" not in shown.url
