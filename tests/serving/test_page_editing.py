"""A shot's words, length and seed are changed and taken again; so is the story; every edit is told with an Undo."""

from __future__ import annotations

import pytest
from page_rig import PaintedStudio, findings, shows, wait
from studio_rig import until

from shotstream.core.story import MAX_SEED

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
SHOTS = ("it walks", "it sits")


@pytest.fixture
def film(desk_page, painted: PaintedStudio) -> str:
    """A film of two shots, on the page."""
    film = painted.film(*SHOTS)
    painted.show(desk_page, film)
    return film


def pick(page, index: int) -> None:
    page.locator(".strip .see").nth(index).click()
    wait(page, f"document.querySelectorAll('.shot')[{index}].classList.contains('selected')")


def test_a_made_shot_is_taken_again_under_other_words_longer_and_with_another_seed(desk_page, painted, film) -> None:
    pick(desk_page, 1)
    desk_page.keyboard.press("w")
    assert desk_page.get_by_label("What the shot shows").input_value() == "it sits"
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.get_by_label("What the shot shows").fill("the fox sits")
    desk_page.get_by_label("Length", exact=True).select_option("1.3125")
    desk_page.locator("#edit-seed").fill(str(MAX_SEED + 1))
    desk_page.locator("#edit-do").click()
    wait(desk_page, "document.getElementById('edit-said').textContent.includes('seed')")  # refused; nothing is lost
    desk_page.locator("#edit-seed").fill(str(MAX_SEED))  # more than a browser can count
    desk_page.locator("#edit-do").click()
    shows(desk_page, "it walks", "the fox sits")
    painted.settle(film)
    old, new = painted.state(film)["shots"][1]["takes"]
    assert (old["caption"], new["caption"], new["seed"], new["seconds"]) == (
        "it sits",
        "the fox sits",
        MAX_SEED,
        1.3125,
    )
    wait(desk_page, f"document.getElementById('shotbar-take').textContent === 'seed {MAX_SEED}'")
    desk_page.get_by_role("button", name="Take 1 of shot 2").click()
    shows(desk_page, *SHOTS)  # with the take come its words


def test_the_same_noise_can_be_asked_for_and_a_die_draws_other(desk_page, painted, film) -> None:
    seed = painted.state(film)["shots"][0]["takes"][0]["seed"]
    desk_page.get_by_role("button", name="it walks", exact=True).click()  # the words on the card
    desk_page.locator("#edit-same").click()
    assert desk_page.input_value("#edit-seed") == str(seed)
    desk_page.locator("#edit-do").click()
    painted.settle(film)
    wait(desk_page, "document.querySelectorAll('.strip .shot:first-child .take').length === 2")
    assert [take["seed"] for take in painted.state(film)["shots"][0]["takes"]] == [seed, seed]
    desk_page.keyboard.press("w")
    desk_page.get_by_role("button", name="Draw a seed").click()
    assert int(desk_page.input_value("#edit-seed")) < 2**32
    desk_page.get_by_label("What the shot shows").fill("half a sent")
    desk_page.keyboard.press("Escape")
    desk_page.keyboard.press("w")
    assert desk_page.get_by_label("What the shot shows").input_value() == "half a sent"  # never a character lost


def test_a_shot_that_waits_is_changed_before_it_is_made(desk_page, painted, film) -> None:
    painted.do(film, type="shoot", caption="it walks on", seconds=5.0625)
    until(lambda: painted.state(film)["running"] is not None)
    painted.do(film, type="extend", blocks=60)  # a slow machine's browser needs its time
    painted.do(film, type="shoot", caption="it sleeps")
    painted.do(film, type="pause")  # while the long one is being made
    shows(desk_page, *SHOTS, "it walks on", "it sleeps")
    desk_page.get_by_role("button", name="it sleeps", exact=True).click()
    desk_page.get_by_label("What the shot shows").fill("the fox sleeps")
    desk_page.get_by_role("button", name="Save").click()
    shows(desk_page, *SHOTS, "it walks on", "the fox sleeps")
    painted.do(film, type="cut")
    painted.do(film, type="resume")
    painted.settle(film)
    assert painted.state(film)["shots"][3]["takes"][0]["caption"] == "the fox sleeps"


def test_the_story_changes_and_what_is_made_is_outdated(desk_page, painted, film) -> None:
    desk_page.get_by_role("button", name="Change the story").click()
    desk_page.get_by_label("Who is in the film, and where").fill("a blue owl")
    desk_page.locator("#edit-do").click()
    wait(desk_page, "document.querySelectorAll('.is-stale').length === 2")
    assert desk_page.inner_text("#stale-text") == "2 shots made before you changed the story"
    assert desk_page.inner_text("#story-text") == "a blue owl"
    desk_page.locator("#take-back").click()
    wait(desk_page, "document.querySelectorAll('.is-stale').length === 0")
    assert painted.state(film)["global_caption"] != "a blue owl"


def test_outdated_shots_say_truly_what_was_changed(desk_page, painted, film) -> None:
    painted.do(film, type="move", shot=1, to=0)
    wait(desk_page, "document.getElementById('stale-text').textContent === "
         "'2 shots made before you changed the shots they depend on'")  # fmt: skip
    badges = desk_page.evaluate("[...document.querySelectorAll('.badge')].map(one => one.title)")
    assert badges == ["Made before you changed the shots it depends on"] * 2
    assert painted.state(film)["shots"][1]["takes"][0]["saw"] == []
    pick(desk_page, 1)
    wait(desk_page, "document.getElementById('memory-empty').textContent.startsWith('It was made as the first shot')")
    painted.do(film, type="lock", shot=0, locked=True)  # it is not made again with the others
    wait(desk_page, "document.getElementById('stale-text').textContent.endsWith(' (1 locked or waiting)')")
    assert desk_page.locator("#remake-stale").is_enabled()


def test_a_shot_that_is_taken_again_is_watched_and_who_looks_elsewhere_stays(desk_page, painted) -> None:
    film = painted.film("it walks", "it sits", "the fox walks")
    painted.show(desk_page, film)
    desk_page.get_by_label("Position in the film").fill("11")
    desk_page.keyboard.press("Escape")
    painted.do(film, type="retake", shot=1)  # from elsewhere
    painted.settle(film)
    wait(desk_page, "document.querySelectorAll('.strip .take').length === 4")
    assert desk_page.get_attribute("#scrub", "aria-valuetext").startswith("shot 2")
    assert desk_page.get_attribute("#screen", "data-mode") == "paused"
    painted.painter.gate.clear()
    desk_page.keyboard.press("w")
    desk_page.locator("#edit-do").click()
    wait(desk_page, "document.getElementById('screen').dataset.mode === 'live'")
    painted.painter.gate.set()
    painted.settle(film)
    wait(desk_page, "document.querySelectorAll('.strip .take').length === 5")
    desk_page.keyboard.press("v")
    wait(desk_page, "document.getElementById('compare-caption').textContent === 'it sits'")


def test_takes_are_compared_under_their_own_words(desk_page, painted, film) -> None:
    painted.do(film, type="retake", shot=0, caption="the fox sits")
    painted.settle(film)
    pick(desk_page, 0)
    wait(desk_page, "!document.getElementById('compare').disabled")
    desk_page.keyboard.press("v")
    wait(desk_page, "document.getElementById('compare-caption').textContent === 'Left: it walks Right: the fox sits'")


def test_an_edit_is_told_with_an_undo_for_all_to_see(desk_page, painted, film) -> None:
    pick(desk_page, 0)
    desk_page.keyboard.press("Delete")
    shows(desk_page, "it sits")
    assert desk_page.locator("#did").inner_text() == "Shot 1 is deleted."
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.locator("#take-back").click()
    shows(desk_page, *SHOTS)


def test_a_locked_shot_says_so(desk_page, painted, film) -> None:
    painted.do(film, type="lock", shot=0, locked=True)
    pick(desk_page, 0)
    wait(desk_page, "document.getElementById('shotbar-take').textContent.startsWith('Locked')")
    assert all(desk_page.locator(f"#{id}").is_disabled() for id in ("retake", "edit", "delete"))
    said = "document.getElementById('said').textContent"
    for key in ("r", "w", "a", "z", "Delete"):
        desk_page.keyboard.press(key)
        wait(desk_page, f"{said} === 'Shot 1 is locked. Unlock it to change it.'")
        desk_page.locator("#unsay").click()
        desk_page.evaluate("document.activeElement.blur()")
    desk_page.get_by_role("button", name="it walks", exact=True).click()  # the words on its card
    wait(desk_page, f"{said}.startsWith('Shot 1 is locked') && document.querySelector('dialog[open]') === null")
    desk_page.keyboard.press("v")
    wait(desk_page, f"{said}.startsWith('Shot 1 has no two takes')")


def test_characters_that_turn_text_around_are_shown_harmlessly(desk_page, painted) -> None:
    film = painted.film("it \u202ewalks")
    painted.do(film, type="retell", global_caption="a \u2067fox")
    painted.do(film, type="retake", shot=0)
    painted.do(film, type="branch", name="another way", after=0)
    painted.settle(film)
    painted.show(desk_page, film)
    wait(desk_page, "document.querySelector('.strip .what').textContent === 'it \ufffdwalks'")
    assert desk_page.inner_text("#story-text") == "a \ufffdfox"
    assert desk_page.inner_text("#subtitle") == "it \ufffdwalks"
    pick(desk_page, 0)
    desk_page.keyboard.press("v")
    wait(desk_page, "document.getElementById('compare-caption').textContent === 'it \ufffdwalks'")
    desk_page.keyboard.press("Escape")
    desk_page.get_by_role("button", name="Open…").click()
    desk_page.locator(f"[data-key=copy-{film}]").click()
    wait(desk_page, "document.getElementById('open-said').textContent.startsWith('a \ufffdfox (copy)')")
    desk_page.goto(f"{painted.server.url}sheet.html#{film}")
    wait(desk_page, "!document.getElementById('print').disabled")
    assert desk_page.inner_text("#title") == "a \ufffdfox" and "1. it \ufffdwalks" in desk_page.inner_text("#shots")
    text = desk_page.evaluate("document.body.textContent")
    assert not set("\u202e\u2067") & set(text)


IN_SIGHT = """index => {
    const [card, strip] = [document.querySelectorAll('.strip .shot')[index], document.getElementById('strip')]
        .map(one => one.getBoundingClientRect());
    return strip.left <= card.left && card.right <= strip.right + 1;
}"""


def test_a_moved_card_comes_into_sight_and_other_news_leave_the_strip_where_it_is(desk_page, painted) -> None:
    film = painted.film(*(f"it walks {number}" for number in range(12)))
    painted.show(desk_page, film)
    pick(desk_page, 0)
    painted.do(film, type="move", shot=0, to=11)
    wait(desk_page, "document.querySelectorAll('.shot')[11].classList.contains('selected')")
    wait(desk_page, f"({IN_SIGHT})(11)")
    desk_page.evaluate("document.getElementById('strip').scrollLeft = 100")
    painted.do(film, type="lock", shot=1, locked=True)
    wait(desk_page, "document.querySelectorAll('.strip .number .i').length === 1")
    assert desk_page.evaluate("document.getElementById('strip').scrollLeft") == 100


def test_new_cards_come_into_sight_and_the_queue_is_cleared(desk_page, painted) -> None:
    film = painted.film(*(f"it walks {number}" for number in range(12)))
    painted.show(desk_page, film)
    pick(desk_page, 0)
    painted.do(film, type="pause")
    assert not desk_page.evaluate(IN_SIGHT, 11)
    painted.do(film, type="insert", at=11, caption="the fox walks through the forest and far away", seconds=2.8)
    wait(desk_page, "document.querySelectorAll('.strip .shot').length === 13")
    wait(desk_page, f"({IN_SIGHT})(11)")
    for caption in ("it sits and sits and sits and sits and sits and sits", "it sleeps"):
        painted.do(film, type="shoot", caption=caption)
    wait(desk_page, "!document.getElementById('clear-queue').hidden")
    rows = desk_page.evaluate("""() => {
        const panel = document.getElementById('queue').getBoundingClientRect();
        const rows = [...document.querySelectorAll('#queue li *')].map(one => one.getBoundingClientRect());
        return rows.every(one => one.right <= panel.right + 1);
    }""")
    assert rows
    desk_page.locator("#clear-queue").click()
    wait(desk_page, "document.querySelectorAll('#queue li').length === 0")
    desk_page.get_by_role("button", name="To scale").click()
    painted.settle(film)
    wait(desk_page, "document.querySelectorAll('.shot progress, .shot.planned').length === 0")
    widths = desk_page.evaluate("[...document.querySelectorAll('.shot')].map(one => one.offsetWidth)")
    seconds = [max(take["seconds"] for take in shot["takes"]) for shot in painted.state(film)["shots"]]
    assert widths == [pytest.approx(96 * one, abs=1) for one in seconds]


def test_a_cleared_queue_comes_back_with_one_undo(desk_page, painted, film, monkeypatch) -> None:
    monkeypatch.setattr(painted.painter, "block_seconds", 0.1)
    painted.do(film, type="shoot", caption="it walks on", seconds=5.0625)
    until(lambda: painted.state(film)["running"] is not None)
    painted.do(film, type="extend", blocks=60)
    for caption in ("it sleeps", "it sits down", "it runs"):
        painted.do(film, type="shoot", caption=caption)
    painted.do(film, type="pause")  # while the long one is being made
    painted.do(film, type="cut")
    rows = "document.querySelectorAll('#queue li').length"
    wait(desk_page, f"{rows} === 3 && document.getElementById('making').textContent === '3 waiting, queue paused'")
    desk_page.locator("#clear-queue").click()
    wait(desk_page, f"{rows} === 0")
    desk_page.locator("#take-back").click()
    wait(desk_page, f"{rows} === 3")
    shows(desk_page, *SHOTS, "it walks on", "it sleeps", "it sits down", "it runs")


def test_what_the_memory_sees_is_chosen_on_the_page_and_undone(desk_page, painted, film) -> None:
    chosen = desk_page.get_by_label("Frames are of")
    assert chosen.input_value() == ""
    chosen.select_option("retrieval")
    wait(desk_page, "document.getElementById('did').textContent.includes('frames are chosen')")
    assert painted.state(film)["context_policy"] == "retrieval"
    desk_page.locator("#take-back").click()
    wait(desk_page, "document.getElementById('memory-policy').value === ''")
    painted.do(film, type="context_policy", policy="end-frames")  # one that the page does not offer
    wait(desk_page, "document.getElementById('memory-policy').selectedOptions[0].textContent === 'end-frames'")
    assert findings(axe_playwright.Axe(), desk_page) == []
