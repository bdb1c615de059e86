"""The library: pictures, names, copies, deletion; tabs and Back; what exported files are called and how large."""

from __future__ import annotations

import wave

import av
import pytest
from page_rig import PaintedStudio, findings, shows, wait
from PIL import Image

from shotstream.media.video import read_info

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")


def library(page, count: int | None = None) -> None:
    page.get_by_role("button", name="Open…").click()
    wait(page, "document.querySelectorAll('#library li').length > 0")


def titles(page) -> list[str]:
    return page.locator("#library b").all_inner_texts()


def test_a_film_is_named_copied_cleaned_and_deleted(desk_page, painted: PaintedStudio) -> None:
    first, second = painted.film("it walks"), painted.film("it sits")
    painted.do(second, type="delete", shot=0)  # only undo needs its take
    painted.show(desk_page, first)
    library(desk_page)
    wait(desk_page, "[...document.querySelectorAll('#library img')].some(one => one.naturalWidth === 64)")
    assert findings(axe_playwright.Axe(), desk_page) == []
    desk_page.locator(f"[data-key=rename-{first}]").click()
    desk_page.keyboard.type("Der Fuchs & ich")
    desk_page.keyboard.press("Enter")
    wait(desk_page, "[...document.querySelectorAll('#library b')].some(one => one.textContent === 'Der Fuchs & ich')")
    wait(desk_page, "document.title === 'Der Fuchs & ich · ShotStream'")
    desk_page.locator(f"[data-key=copy-{first}]").click()
    wait(desk_page, "document.getElementById('open-said').textContent.startsWith('Der Fuchs & ich (copy)')")
    desk_page.locator(f"[data-key=clean-{second}]").click()
    wait(desk_page, "document.getElementById('open-said').textContent.endsWith('are free again.')")
    assert painted.state(second)["undo"] is None
    delete = desk_page.locator(f"[data-key=delete-{second}]")
    delete.dblclick()  # the second press is for good, and must follow soon
    wait(desk_page, f"document.querySelector('[data-key=delete-{second}]') === null")
    desk_page.get_by_role("button", name="Der Fuchs & ich (copy) 1 shot").click()
    wait(desk_page, "document.title.startsWith('Der Fuchs & ich (copy)')")
    copy = desk_page.evaluate("location.hash.slice(1)")
    assert copy != first and painted.state(copy)["undo"] == painted.state(first)["undo"]
    painted.do(copy, type="delete", shot=0)  # the original keeps its own
    assert len(painted.state(first)["shots"]) == 1


def test_a_film_that_is_deleted_goes_from_the_screens_that_show_it(desk_page, painted: PaintedStudio) -> None:
    film = painted.film("it walks")
    painted.show(desk_page, film)
    painted.delete(film)
    wait(desk_page, "document.getElementById('said').textContent === 'the film was deleted'")
    assert desk_page.locator("#empty").is_visible()


def test_back_and_forward_lead_from_film_to_film(desk_page, painted: PaintedStudio) -> None:
    first, second = painted.film("it walks"), painted.film("it sits")
    for film in (first, second):
        library(desk_page)
        desk_page.locator(f"[data-key=open-{film}]").click()
        wait(desk_page, f"location.hash === '#{film}'")
    shows(desk_page, "it sits")
    desk_page.go_back()
    shows(desk_page, "it walks")
    desk_page.go_back()
    wait(desk_page, "document.title === 'ShotStream studio'")
    desk_page.go_forward()
    shows(desk_page, "it walks")


def test_files_are_named_after_film_and_shot_and_come_in_the_size_that_was_asked_for(
    desk_page, painted: PaintedStudio, tmp_path
) -> None:
    film = painted.film("it walks", "it sits")
    painted.show(desk_page, film)
    assert desk_page.get_attribute("#file", "accept") is not None
    desk_page.get_by_role("button", name="Export…").click()
    sizes = desk_page.locator("#export-size option").all_inner_texts()
    assert sizes[:2] == ["as made, 64x32", "128x64, scaled"] and "2160x1080, scaled" in sizes
    desk_page.locator("#export-shot").select_option("1")
    desk_page.locator("#export-size").select_option("128")
    desk_page.get_by_text("larger, not sharper").wait_for()
    for name in ("mp4", "gif"):
        with desk_page.expect_download() as download:
            desk_page.locator(f"[data-format={name}]").click()
        assert download.value.suggested_filename == f"a-red-fox-in-the-forest-shot-2-128p.{name}"
        download.value.save_as(tmp_path / name)
    info = read_info(tmp_path / "mp4")
    assert (info.width, info.height, info.frames) == (256, 128, 9)
    with Image.open(tmp_path / "gif") as gif:
        assert gif.size == (256, 128)
    desk_page.locator("#export-size").select_option("")
    desk_page.locator("#export-rate").select_option("24")
    desk_page.get_by_text("none are made").wait_for()
    with wave.open(str(tmp_path / "song.wav"), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(bytes(16_000))
    desk_page.locator("#export-sound").set_input_files(tmp_path / "song.wav")
    with desk_page.expect_download() as download:
        desk_page.locator("[data-format=mp4]").click()
    assert download.value.suggested_filename == "a-red-fox-in-the-forest-shot-2-24fps.mp4"
    download.value.save_as(tmp_path / "heard")
    with av.open(str(tmp_path / "heard")) as container:
        assert (container.streams.video[0].average_rate, len(container.streams.audio)) == (24, 1)
