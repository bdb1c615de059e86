"""Footage of one's own on the page, chosen or dropped; adapters, drafts, and a change at a named frame."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from page_rig import STORY, PaintedStudio, findings, opened, wait
from studio_rig import Painter, until
from test_sent_material import clip_of, picture

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")

DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
}"""
OPEN = "document.getElementById('own-dialog').open"


def drop(page, name: str, type: str, data: bytes) -> None:
    page.evaluate(DROP, [name, type, base64.b64encode(data).decode()])
    wait(page, OPEN)


def test_a_film_begins_with_a_clip_that_is_chosen(desk_page, tmp_path: Path) -> None:
    clip = clip_of(tmp_path / "mine.mp4", 2)
    desk_page.locator("#own-file").set_input_files(clip)
    wait(desk_page, OPEN)
    desk_page.locator("#own-words").fill("it sits")
    desk_page.locator("#own-do").click()
    wait(desk_page, "document.getElementById('own-said').textContent.startsWith('First say, in the story')")
    desk_page.locator("#own-cancel").click()
    desk_page.locator("#caption").fill(STORY)
    desk_page.locator("#own-file").set_input_files(clip)
    desk_page.locator("#own-words").fill("it sits")
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.locator("#own-do").click()
    wait(desk_page, f"!{OPEN} && document.querySelectorAll('.strip .shot').length === 2")
    desk_page.locator(".strip .shot").first.click()
    wait(desk_page, "document.getElementById('shotbar-take').textContent === 'from mine.mp4'")
    desk_page.locator("#undo").click()
    wait(desk_page, "document.querySelectorAll('.strip .shot').length === 0")


def test_what_is_dropped_goes_between_shots_or_into_memory(desk_page, painted: PaintedStudio, tmp_path: Path) -> None:
    film = painted.film("it walks", "it sits")
    painted.show(desk_page, film)
    drop(desk_page, "mine.png", "image/png", picture())
    desk_page.locator("#own-words").fill("it walks on")
    desk_page.locator("#own-at").select_option("1")
    desk_page.locator("#own-do").click()
    wait(desk_page, f"!{OPEN} && document.querySelectorAll('.strip .shot').length === 3")
    assert [shot["caption"] for shot in painted.state(film)["shots"]] == ["it walks", "it walks on", "it sits"]
    drop(desk_page, "fox.png", "image/png", picture())
    desk_page.locator("#own-as").select_option("memory")
    desk_page.locator("#own-words").fill("a red fox")
    desk_page.locator("#own-do").click()
    wait(desk_page, "document.getElementById('own-said').textContent.includes('names nothing; write a name, a colon')")
    desk_page.locator("#own-words").fill("the fox: a red fox")
    desk_page.locator("#own-do").click()
    wait(desk_page, f"!{OPEN} && document.querySelector('#pinned img')?.naturalWidth === 64")
    painted.do(film, type="shoot", caption="it sits", seconds=0.6)
    painted.settle(film)
    desk_page.locator(".strip .shot").last.click()
    wait(desk_page, "document.querySelector('#memory figcaption').textContent === 'the fox'")
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.get_by_role("button", name="Unpin the fox").click()
    wait(desk_page, "document.getElementById('pinned').hidden")
    assert painted.state(film)["references"] == []
    drop(desk_page, "note.txt", "text/plain", b"no picture")
    desk_page.locator("#own-words").fill("it sits")
    desk_page.locator("#own-do").click()
    wait(desk_page, "document.getElementById('own-said').textContent.startsWith('note.txt: cannot be read as a video')")


@pytest.fixture
def adapted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaintedStudio]:
    """A studio whose painter has adapters."""
    monkeypatch.setattr(Painter, "adapters", ("neon", "old film"))
    studio = PaintedStudio(tmp_path)
    yield studio
    studio.server.stop()


def test_adapters_are_weighed_for_takes_to_come(browser, adapted: PaintedStudio) -> None:
    with opened(browser, adapted.server.url, width=1440, height=900, model="painter") as desk_page:
        film = adapted.film("it walks")
        adapted.show(desk_page, film)
        assert desk_page.locator("#lora input").all() and desk_page.get_by_label("neon").input_value() == "1"
        desk_page.get_by_label("neon").fill("0.4")
        desk_page.get_by_label("neon").press("Enter")
        wait(desk_page, "document.getElementById('did').textContent.startsWith('From the next take on: neon 0.4')")
        assert adapted.state(film)["lora"] == {"neon": 0.4, "old film": 1.0}
        adapted.do(film, type="shoot", caption="it sits", seconds=0.6)
        adapted.settle(film)
        desk_page.locator(".strip .shot").last.click()
        wait(desk_page, "document.getElementById('shotbar-take').textContent.endsWith(', neon 0.4, old film 1')")
        assert findings(axe_playwright.Axe(), desk_page) == []
        desk_page.locator("#undo").click()
        desk_page.locator("#undo").click()
        wait(desk_page, "document.querySelector('#lora input').value === '1'")


def test_a_draft_is_made_again_and_a_shot_changed_at_a_frame(desk_page, painted: PaintedStudio) -> None:
    film = painted.film("it walks")
    painted.show(desk_page, film)
    desk_page.locator(".strip .shot").first.click()
    desk_page.locator("#again").click()
    painted.settle(film)
    first, second = painted.state(film)["shots"][0]["takes"]
    assert first["seed"] == second["seed"]
    painted.painter.gate.clear()
    painted.do(film, type="shoot", caption="it walks", seconds=2.1)
    desk_page.locator("#prompt").fill("it sits")
    desk_page.locator("#change-frame").fill("21")
    desk_page.locator("#change-blend").select_option("0.75")
    desk_page.locator("#change").click()
    wait(desk_page, "document.getElementById('change').getAttribute('aria-busy') === 'true'")  # the studio has it
    painted.painter.gate.set()
    painted.settle(film)
    wait(desk_page, "document.getElementById('change-frame').disabled")
    assert painted.state(film)["shots"][1]["takes"][0]["changes"] == ["it sits"]
    told = httpx.get(f"{painted.server.url}api/films/{film}/exports/story").text
    assert "blend: 0.75" in told
    painted.painter.gate.clear()
    desk_page.get_by_label("Shot length").select_option("until cut")
    desk_page.locator("#prompt").fill("it runs")
    desk_page.locator("#shoot").click()
    wait(desk_page, "[...document.querySelectorAll('.strip .shot .length')].at(-1)?.textContent === 'until cut'")
    assert painted.state(film)["shots"][2]["endless"]
    painted.painter.gate.set()
    until(lambda: painted.state(film)["shots"][2]["takes"][0]["frames"] > 60)  # more than the usual 33
    desk_page.locator("#cut").click()
    painted.settle(film)
    cut = painted.state(film)["shots"][2]
    assert (cut["endless"], cut["takes"][0]["state"]) == (False, "cut")
    assert findings(axe_playwright.Axe(), desk_page) == []
