"""The storyboard: every frame is on the sheet, text stays inside its column."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from shotstream.media.fonts import drawable, font_files, font_for, font_of, undrawable
from shotstream.media.storyboard import (
    FRAME_WIDTH,
    SMALL_FONT,
    TEXT_WIDTH,
    Panel,
    draw_storyboard,
    png,
    spread_over,
    wrap,
)

FONT = ImageFont.load_default(16)


def panel(colours: list[tuple[int, int, int]], caption: str = "Wide shot. The fox walks.") -> Panel:
    frames = np.stack([np.full((40, 64, 3), colour, np.uint8) for colour in colours])
    return Panel(caption=caption, frames=frames, start=0, seconds=2.06)


def test_spread_takes_first_and_last() -> None:
    assert spread_over(33) == [0, 11, 21, 32]
    assert spread_over(9, 2) == [0, 8]


def test_every_frame_is_shown_in_its_place() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    sheet = np.asarray(draw_storyboard("A fox.", [panel(colours), panel(colours[::-1])]))
    area = FRAME_WIDTH * FRAME_WIDTH * 40 // 64
    for colour in colours:
        assert (sheet == colour).all(-1).sum() == 2 * area
    rows = [(sheet == colours[0]).all(-1).any(0).nonzero()[0].min() for _ in colours]
    assert min(rows) > 0


def test_the_file_is_a_png() -> None:
    sheet = draw_storyboard("A fox. " * 100, [panel([(9, 9, 9)], "word " * 500)], "seed 7")
    with Image.open(io.BytesIO(png(sheet))) as image:
        assert image.format == "PNG"
        assert image.tobytes() == sheet.tobytes()


@pytest.mark.parametrize(
    "text", ["The fox walks to the left through the forest. " * 8, "x" * 500, "a " + "é" * 300, "— … ü 中文"]
)
@pytest.mark.parametrize("most", [1, 3])
def test_wrapped_text_fits(text: str, most: int) -> None:
    lines = wrap(text, FONT, 200, most)
    assert 1 <= len(lines) <= most
    assert all(FONT.getlength(line) <= 200 for line in lines)


class CountingFont:
    """Ten pixels a letter. ``measured``: how many letters were measured so far."""

    measured = 0

    def getlength(self, text: str) -> float:
        self.measured += len(text)
        return 10.0 * len(text)


@pytest.mark.parametrize(
    "text", ["狐" * 100_000, "x" * 100_000, "a " * 50_000, "狐狸 " * 30_000], ids=lambda text: text[:4]
)
def test_what_is_not_shown_costs_nothing(text: str) -> None:
    font = CountingFont()
    lines = wrap(text, font, 200, 3)
    assert len(lines) == 3 and all(len(line) <= 20 for line in lines) and lines[-1].endswith("…")
    assert font.measured < 10_000


def test_text_without_spaces_is_wrapped_in_a_time_that_grows_with_it() -> None:
    def measured(letters: int) -> int:
        font = CountingFont()
        assert "".join(wrap("狐" * letters, font, 200, letters)) == "狐" * letters
        return font.measured

    assert measured(100_000) < 12 * measured(10_000)


def test_short_text_is_whole() -> None:
    assert wrap("The fox\nwaves.", FONT, 200, 3) == ["The fox waves."]


@pytest.mark.parametrize("size", [10, 11, 12, 16, 22])
def test_words_stand_apart_at_every_size(size: int) -> None:
    font = font_of(size)
    (line,) = wrap("3 A bear", font, 400, 1)
    image = Image.new("L", (200, 40))
    ImageDraw.Draw(image).text((0, 0), line, fill=255, font=font)
    (inked,) = (np.asarray(image) > 40).any(axis=0).nonzero()
    apart = np.sort(np.diff(inked))[-2:] - 1  # the two widest gaps are those between the words
    assert (apart >= size / (3.2 if size <= SMALL_FONT else 5.5)).all()


def test_plain_text_is_in_pillows_own_font_and_what_it_lacks_becomes_plain() -> None:
    assert font_for("The fox walks.", 16).getname() == FONT.getname()
    assert drawable("Café – naïve", FONT) == "Cafe - naive"
    assert undrawable(["The fox walks."]) == ""


@pytest.mark.skipif(not any("dejavu" in path.name.lower() for path in font_files()), reason="no such font here")
def test_letters_pillows_font_lacks_are_drawn_in_one_of_this_machines() -> None:
    text = "Ёлка и лиса; ñ é"
    font = font_for(text, 16)
    assert font.getname() != FONT.getname()
    assert drawable(text, font) == text and undrawable([text]) == ""


def test_every_script_is_whole_with_the_fonts_extra() -> None:
    pytest.importorskip("cvttf_NotoSansCJK_Regular")
    text = "一只狐狸 がぎぐげご パン 한국어 여우 Ёлка й ñ é"
    font = font_for(text, 16)
    assert drawable(text, font) == text and undrawable([text]) == ""
    masks = {letter: bytes(font.getmask(letter)) for letter in "がか한하パハ"}
    assert len(set(masks.values())) == 6, "voiced kana and whole syllables look like themselves"


def test_letters_no_font_has_are_named() -> None:
    assert undrawable(["fox \U0010fffa", "\U0010fffa\U0010fffb"]) == "\U0010fffa\U0010fffb"


def test_every_caption_is_drawn_in_a_font_of_its_own() -> None:
    """No font has every script: beside Chinese, Cyrillic is drawn as it is alone."""
    frames = np.zeros((2, 40, 64, 3), np.uint8)

    def board(*captions: str) -> np.ndarray:
        panels = [Panel(caption=text, frames=frames, start=0.0, seconds=1.0) for text in captions]
        return np.asarray(draw_storyboard("-", panels))

    alone, beside = board("ẞ и فا"), board("ẞ и فا", "狐狸。")
    rows = len(alone) - 50
    np.testing.assert_array_equal(alone[:rows, :TEXT_WIDTH], beside[:rows, :TEXT_WIDTH])
