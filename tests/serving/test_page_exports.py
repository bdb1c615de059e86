"""Every format of the export menu, fetched by a browser and opened by a reader that is not ours."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import opentimelineio
import srt
import webvtt
import yaml
from page_rig import SHORT, begin, idle, shoot, wait
from PIL import Image
from pypdf import PdfReader

from shotstream.media.exports.formats import FORMATS
from shotstream.media.video import read_info


def opens(name: str, path: Path, folder: Path) -> bool:
    """Is this the film of two shots of nine frames?"""
    match name:
        case "mp4":
            return len(read_info(path).chapters) == 2
        case "gif" | "webp":
            with Image.open(path) as picture:
                return picture.n_frames == 18
        case "storyboard":
            with Image.open(path) as picture:
                return picture.format == "PNG"
        case "pdf":
            return len(PdfReader(path).pages) == 1
        case "srt":
            return [one.content for one in srt.parse(path.read_text(encoding="utf-8"))] == ["it walks", "it sits"]
        case "vtt":
            return [one.text for one in webvtt.read(str(path))] == ["it walks", "it sits"]
        case "story":
            return [shot["caption"] for shot in yaml.safe_load(path.read_text(encoding="utf-8"))["shots"]][
                1
            ] == "it sits"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    files = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    match name:
        case "clips":
            return len(files) == 2 and all(read_info(folder / one).frames == 9 for one in files)
        case "otio" | "edl":
            path = folder / next(one for one in files if one.endswith(f".{name}"))
            options = {"adapter_name": "cmx_3600", "rate": 48} if name == "edl" else {}
            timeline = opentimelineio.adapters.read_from_file(str(path), **options)
            return len(list(timeline.find_clips())) == 2 and sum(one.endswith(".mp4") for one in files) == 2
        case "film":
            return "film.json" in files and sum(one.endswith(".mp4") for one in files) == 2
    return False


def fetched(page, name: str, path: Path) -> Path:
    """Press the button of a format; what the page hands to the browser, in ``path``.

    The browser's own downloads are left to the tests of one file each (test_page.py): a page's eleventh or so stood
    still three times on busy machines, once without its event, twice in ``save_as``.
    """
    page.evaluate("""() => {
        const make = URL.createObjectURL.bind(URL);
        window.file = window.handedOver = null;
        URL.createObjectURL = (file) => make(window.file = file);
        HTMLAnchorElement.prototype.click = function () { window.handedOver = this.download; };
    }""")
    page.locator(f"[data-format={name}]").click()
    wait(page, "window.handedOver !== null")
    coded = page.evaluate("""() => new Promise((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result.split(",")[1]);
        reader.readAsDataURL(window.file);
    })""")
    path.write_bytes(base64.b64decode(coded))
    said = page.evaluate("window.handedOver")
    wait(page, f"document.getElementById('export-said').textContent === '{said} is among your downloads.'")
    return path


def test_each_format_is_in_the_menu_and_opens(page, tmp_path) -> None:
    begin(page, "it walks")
    idle(page, 1)
    page.locator(".strip .see").first.click()
    page.keyboard.press("Delete")
    wait(page, "document.querySelectorAll('.strip .shot').length === 0")
    page.get_by_label("Shot length").select_option(str(SHORT))
    for caption in ("it walks", "it sits"):
        shoot(page, caption)
    idle(page, 2)
    page.get_by_role("button", name="Export…").click()
    names = page.evaluate("[...document.querySelectorAll('[data-format]')].map(one => one.dataset.format)")
    assert sorted(names) == sorted([*FORMATS, "film"])
    for name in names:
        path = fetched(page, name, tmp_path / f"{name}-file")
        assert opens(name, path, tmp_path / name), name
    page.get_by_label("Of", exact=True).select_option("1")
    able = page.evaluate("[...document.querySelectorAll('[data-format]:enabled')].map(one => one.dataset.format)")
    assert able == [name for name in names if name in FORMATS and FORMATS[name].per_shot]
    assert len(read_info(fetched(page, "mp4", tmp_path / "shot.mp4")).chapters) == 1


def test_what_cannot_be_written_is_said(page, server) -> None:
    begin(page, "it walks")
    idle(page, 1)
    for footage in server.films.rglob("takes/*.mp4"):
        footage.unlink()
    page.get_by_role("button", name="Export…").click()
    page.locator("[data-format=gif]").click()
    wait(page, "document.getElementById('export-said').textContent.startsWith('GIF: ')")
