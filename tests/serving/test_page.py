"""The page in Chromium: a film directed from an empty page, with a real, tiny model behind it."""

from __future__ import annotations

import pytest
from page_rig import STORY, begin, findings, idle, picture, shoot, state_of, wait
from studio_rig import Server, until

from shotstream.media.video import read_info

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
LONGEST = "5.0625"


def lengthen(page, server: Server) -> None:
    """Let the running shot last half a minute: a slow machine's browser needs its time."""
    film = page.evaluate("location.hash.slice(1)")
    data = {"type": "extend", "blocks": 40}
    assert page.request.post(f"{server.url}api/films/{film}/commands", data=data).status == 202


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_to_say(page, server, scheme: str) -> None:
    """Contrast, labels, roles and focus, on the empty page and with a film, at a desk's and at a phone's width."""
    axe = axe_playwright.Axe()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours as they are, not on their way
    assert findings(axe, page) == []
    begin(page, "wide shot. it walks", "0.5625")
    idle(page, 1)
    assert findings(axe, page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert findings(axe, page) == []


def test_five_shots_from_an_empty_page(page, server, tmp_path) -> None:
    begin(page, "wide shot. it walks", "0.5625")
    for caption in ("it sits", "it sleeps", "the owl walks", "the owl sleeps in the snow"):
        shoot(page, caption)  # while the one before plays
    idle(page, 5)
    assert [shot["caption"] for shot in state_of(page, server)["shots"]][3] == "the owl walks"
    assert page.locator("#memory img").count() == 6
    assert int(page.evaluate("document.documentElement.dataset.firstFrame")) > 0
    wait(page, "document.getElementById('meter-fps').textContent.includes('frames/s')")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export…").click()
        page.locator("[data-format=mp4]").click()
    download.value.save_as(tmp_path / "film.mp4")
    assert len(read_info(tmp_path / "film.mp4").chapters) == 5
    page.get_by_role("button", name="Close").click()
    before = picture(page)
    page.get_by_role("button", name="Shot 1: wide shot. it walks").click()
    wait(page, "document.getElementById('scrub').value === '0'")
    wait(page, f"document.getElementById('canvas').toDataURL() !== {before!r}")
    page.get_by_role("button", name="Play").click()
    wait(page, "document.getElementById('scrub').value > 0")
    page.get_by_role("button", name="Pause", exact=True).click()


def test_directing_while_it_plays_then_reload_and_restart(page, server) -> None:
    page.get_by_label("Who, where, and how it looks").fill(STORY)
    shoot(page, "it walks")
    page.get_by_label("Shot length").select_option(LONGEST)
    shoot(page, "it sits")
    wait(page, "document.querySelectorAll('.strip .shot').length === 2")
    wait(page, "document.getElementById('subtitle').textContent === 'it sits'")
    lengthen(page, server)
    page.get_by_label("What happens next?").fill("it sleeps in the snow")
    page.get_by_role("button", name="Change now").click()
    wait(page, "document.getElementById('prompt').value === ''")
    page.get_by_role("button", name="Extend").click()
    wait(page, "document.getElementById('subtitle').textContent === 'it sleeps in the snow'")
    page.get_by_role("button", name="Cut").click()
    idle(page, 2)
    changed = state_of(page, server)["shots"][1]["takes"][0]
    assert (changed["state"], changed["changes"]) == ("cut", ["it sleeps in the snow"])
    page.get_by_role("button", name="Retake").click()
    wait(page, "!document.getElementById('cut').disabled")
    page.get_by_role("button", name="Cut").click()
    page.get_by_role("button", name="Take 2 of shot 2").wait_for()
    idle(page, 2)
    page.get_by_role("button", name="Take 1 of shot 2").click()
    wait(page, "document.querySelector('[aria-label=\"Take 1 of shot 2\"]').ariaPressed === 'true'")
    page.get_by_label("Position in the film").fill("5")
    page.reload()
    film = state_of(page, server)
    wait(page, "document.querySelectorAll('.strip .see img').length === 2")
    server.stop()
    wait(page, "document.getElementById('model').textContent === 'Reconnecting…'")
    server.start()
    wait(page, "document.getElementById('model').textContent.startsWith('tiny')")
    assert state_of(page, server)["shots"] == film["shots"]
    shoot(page, "the owl sits")
    wait(page, "document.querySelectorAll('.strip .shot').length === 3")


def test_the_playing_position_is_kept(page, server) -> None:
    begin(page, "it walks")
    idle(page, 1)
    page.get_by_label("Position in the film").fill("5")
    until(lambda: (state_of(page, server)["position"] or {}).get("frame") == 5)
    page.reload()
    wait(page, "document.getElementById('scrub').value === '5'")


def test_two_viewers_at_once(page, server) -> None:
    begin(page, "it walks")
    idle(page, 1)
    other = page.context.new_page()
    other.goto(page.url)
    wait(other, "document.querySelectorAll('.strip .see img').length === 1")
    shoot(other, "it sits")
    for one in (page, other):
        wait(one, "document.getElementById('subtitle').textContent === 'it sits'")
    for one in (page, other):
        idle(one, 2)


def test_with_the_keyboard_alone(page, server) -> None:
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.id") == "prompt"
    page.keyboard.type("it walks")
    page.keyboard.press("Control+Enter")
    assert page.evaluate("document.activeElement.id") == "caption"  # it asks for what is missing
    page.keyboard.type(STORY)
    page.keyboard.press("Control+Enter")
    wait(page, "document.getElementById('prompt').value === ''")
    idle(page, 1)
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.get_by_role("button", name="Take 2 of shot 1").wait_for()
    page.keyboard.press(" ")
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    page.keyboard.press(" ")
    seen = set()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
    assert {"prompt", "shoot", "retake", "play", "scrub", "new-film", "open-film", "Take 2 of shot 1"} <= seen


def test_unknown_words_are_underlined_with_what_is_known_instead(page, server) -> None:
    page.get_by_label("What happens next?").fill("it walkz to the forest")
    page.get_by_role("button", name="Write walks instead of walkz").click()
    assert page.get_by_label("What happens next?").input_value() == "it walks to the forest"
    wait(page, "document.querySelector('#prompt-mirror mark')?.textContent === 'to'")
    begin(page, "it walks")
    wait(page, "document.querySelectorAll('.strip .shot').length === 1")  # what is typed is compared with this shot
    page.get_by_label("What happens next?").fill("It walks.")
    wait(page, "document.getElementById('prompt-hint').textContent.includes('may not read')")


def test_a_story_and_a_film_are_opened_and_others_are_told_why_not(page, server, tmp_path) -> None:
    (tmp_path / "no.film").write_bytes(b"PK nonsense")
    (tmp_path / "fox.yaml").write_text("global_caption: a red fox\nshots:\n- {caption: it walks, seconds: 0.6}\n")
    page.get_by_role("button", name="Open…").click()
    page.locator("#file").set_input_files(tmp_path / "no.film")
    wait(page, "document.getElementById('open-said').textContent.length > 0")
    page.locator("#file").set_input_files(tmp_path / "fox.yaml")
    idle(page, 1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export…").click()
        page.locator("[data-format=film]").click()
    download.value.save_as(tmp_path / "good.film")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="New", exact=True).click()
    assert page.locator("#empty").is_visible()
    page.get_by_role("button", name="Open…").click()
    page.locator("#file").set_input_files(tmp_path / "good.film")
    idle(page, 1)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window_and_everything_has_a_name(page, server, width) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    begin(page, "it walks")
    idle(page, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea, img, a, canvas')].filter("
        "one => !(one.ariaLabel || one.labels?.length || one.textContent.trim() || one.hasAttribute('alt')))"
        ".map(one => one.outerHTML)"
    )
    assert nameless == []


def test_a_foreign_page_gets_nowhere(browser, server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<p>hello</p>", content_type="text/html"))
    page.goto("http://evil.example/")
    opened = page.evaluate(
        "url => new Promise(done => { const socket = new WebSocket(url); socket.onopen = () => done(true); "
        "socket.onerror = () => done(false); })",
        f"ws://127.0.0.1:{server.port}/ws",
    )
    posted = page.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'}).then(a => a.status, () => 'failed')",
        f"{server.url}api/films",
    )
    context.close()
    assert opened is False
    assert posted in (0, "failed")
