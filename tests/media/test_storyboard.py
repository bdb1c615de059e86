"""The storyboard: every frame is on the sheet, text stays inside its column."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from shotstream.media.storyboard import (
    FRAME_WIDTH,
    SMALL_FONT,
    Panel,
    draw_storyboard,
    font_of,
    png,
    spread,
    wrap,
)

FONT = ImageFont.load_default(16)


def panel(colours: list[tuple[int, int, int]], caption: str = "Wide shot. The fox walks.") -> Panel:
    frames = np.stack([np.full((40, 64, 3), colour, np.uint8) for colour in colours])
    return Panel(caption=caption, frames=frames, start=0, seconds=2.06)


def test_spread_takes_first_and_last() -> None:
    assert spread(np.arange(33)).tolist() == [0, 11, 21, 32]
    assert spread(np.arange(9), 2).tolist() == [0, 8]


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
