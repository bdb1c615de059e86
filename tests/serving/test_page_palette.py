"""What the model understands: words to press, suggestions that read as a cut, warnings."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from page_rig import PaintedStudio, findings, shows, wait

from shotstream.core.words import words_of
from shotstream.data.world import phrases
from shotstream.data.world.captions import vocabulary

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
GROUPS = {
    group["name"]: group["words"]
    for group in json.loads((files("shotstream.serving") / "web" / "palette.json").read_text("utf-8"))
}
# The words of the world that each group has one chip or more for, by what its tables say they are.
WORLD = {
    "Who": [nouns[0] for nouns in phrases.KIND_NOUNS.values()],
    "Colour": [words[0] for words in phrases.COLOUR_WORDS.values()],
    "Wears": [nouns[0] for nouns in phrases.ACCESSORY_NOUNS.values()],
    "Where": [sites[0].noun for sites in phrases.SITES.values()],
    "Action": [verbs[0][0] for verbs in phrases.ACTION_VERBS.values()],
    "Framing": [phrases.LEADS[view][0] for view in ("wide", "medium", "close-up")],
}


@pytest.fixture(autouse=True)
def fluent(painted: PaintedStudio, monkeypatch) -> None:
    """The painter knows the words of the world."""
    monkeypatch.setattr(painted.painter, "known_words", vocabulary)


def test_the_palette_speaks_of_all_of_the_world_in_words_the_model_has_read() -> None:
    for name, words in WORLD.items():
        assert [word for word in words if not any(word in chip.lower() for chip in GROUPS[name])] == [], name
    for name, chips in GROUPS.items():
        assert [chip for chip in chips if not set(words_of(chip)) <= vocabulary()] == [], name
    assert set(GROUPS) - set(WORLD) == {"Light", "Camera"}


def chip(page, group: str, word: str) -> None:
    page.locator("#palette-groups").get_by_role("button", name=group).click()
    page.locator("#palette-words").get_by_role("button", name=word, exact=True).click()


def test_the_palette_writes_sentences_into_the_box(desk_page) -> None:
    story = desk_page.get_by_label("Who, where, and how it looks")
    story.focus()
    for group, word in (("Colour", "red"), ("Who", "fox"), ("Wears", "with a hat"), ("Where", "in a forest")):
        chip(desk_page, group, word)
    assert story.input_value() == "A red fox with a hat in a forest"
    prompt = desk_page.get_by_label("What happens next?")
    prompt.focus()
    for group, word in (("Framing", "Wide shot."), ("Who", "fox"), ("Action", "waves"), ("Light", "at night")):
        chip(desk_page, group, word)
    assert prompt.input_value() == "Wide shot. The fox waves at night"
    desk_page.keyboard.press("Control+z")
    assert prompt.input_value() == "Wide shot. The fox waves"
    assert findings(axe_playwright.Axe(), desk_page) == []


def test_a_word_the_model_does_not_know_is_not_offered(desk_page, painted: PaintedStudio, monkeypatch) -> None:
    monkeypatch.setattr(painted.painter, "known_words", lambda: vocabulary() - {"fox", "camera"})
    desk_page.reload()
    groups = desk_page.locator("#palette-groups")
    groups.get_by_role("button", name="Who").click()
    assert groups.get_by_role("button", name="Camera").count() == 0
    assert desk_page.locator("#palette-words").get_by_role("button", name="fox", exact=True).count() == 0
    assert desk_page.locator("#palette-words").get_by_role("button", name="owl", exact=True).count() == 1


def test_suggestions_read_as_a_cut_and_speak_of_this_film(desk_page, painted: PaintedStudio) -> None:
    last = "Wide shot. The fox walks."
    painted.show(desk_page, painted.film(last))
    wait(desk_page, "document.querySelectorAll('#offers button').length === 3")
    offers = desk_page.locator("#offers button").all_inner_texts()
    assert len(set(offers)) == 3 and all(re.search(r"\bThe fox\b", one) for one in offers)
    for offer in offers:
        said = painted.ask("POST", "check", {"text": offer, "previous": last})
        assert said == {"unknown": [], "lost": [], "hint": ""}
    assert desk_page.get_by_label("What happens next?").get_attribute("placeholder") == offers[0]
    desk_page.keyboard.press("g")
    assert desk_page.get_by_label("What happens next?").input_value() == offers[0]
    desk_page.locator("#offers button").nth(1).click()  # another one takes its place
    desk_page.keyboard.press("Control+Enter")
    shows(desk_page, last, offers[1])


def test_an_empty_page_suggests_what_its_example_of_a_story_is_about_until_there_is_another(desk_page) -> None:
    offers = "[...document.querySelectorAll('#offers button')].map(one => one.textContent)"
    wait(desk_page, f"{offers}.length === 3 && {offers}.every(one => one.includes('The fox'))")
    desk_page.get_by_label("Who, where, and how it looks").fill("A green frog on a beach.")
    wait(desk_page, f"{offers}.every(one => one.includes('The frog'))")


def test_a_prompt_of_which_nothing_is_known_is_told(desk_page) -> None:
    desk_page.get_by_label("What happens next?").fill("Dreadnought quuxes")
    desk_page.get_by_text("The model knows none of these words.").wait_for()
    desk_page.get_by_label("What happens next?").fill("Dreadnought walks")
    wait(desk_page, "!document.getElementById('prompt-words').textContent.includes('none of these')")


def test_a_prompt_that_is_longer_than_the_model_reads_is_told(desk_page) -> None:
    words = [f"the fox walks{'' if number else ' and'}" for number in range(45)]
    desk_page.get_by_label("What happens next?").fill(" ".join(words))
    desk_page.get_by_text("Too long for the model.").wait_for()


PASTE = """text => {
    const field = document.getElementById('prompt'), data = new DataTransfer();
    field.focus();
    data.setData('text', text);
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
    document.execCommand('insertText', false, text);
}"""
SCRIPTS = {
    "yaml": "global_caption: A red fox.\nshots:\n- caption: it walks\n  seconds: 0.6\n- caption: it sits\n",
    "holocine": "[global caption] A red fox. [per shot caption] it walks [shot cut] it sits",
    "infinity-rope": "it walks[1s] | it sits[2s]",
    "list": "1. it walks\n2. it sits\n",
    "paragraphs": "it walks\n\nit sits",
}


@pytest.mark.parametrize("format", SCRIPTS)
def test_a_pasted_script_becomes_shots(desk_page, painted: PaintedStudio, format: str) -> None:
    desk_page.evaluate(PASTE, SCRIPTS[format])
    wait(desk_page, "document.getElementById('did').textContent.startsWith('A script of 2 shots')")
    wait(desk_page, "document.getElementById('prompt').value === 'it walks\\n\\nit sits'")
    if format in ("infinity-rope", "list", "paragraphs"):
        assert desk_page.get_by_label("Who, where, and how it looks").input_value() == ""  # nothing is made up
        desk_page.get_by_label("Who, where, and how it looks").fill("A red fox.")
    desk_page.locator("#shoot").click()
    shows(desk_page, "it walks", "it sits")
    film = painted.state(desk_page.evaluate("location.hash.slice(1)"))
    first, second = (shot["seconds"] for shot in film["shots"])
    assert first == {"yaml": 0.5625, "infinity-rope": 1.3125}.get(format, second)
    assert film["global_caption"] == "A red fox."
