"""Draws a storyboard: one PNG with a row of frames per shot beside its caption."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shotstream.media.fonts import Font, drawable, font_for, font_of

FRAMES_PER_SHOT = 4
FRAME_WIDTH = 256  # pixels on the sheet
TEXT_WIDTH = 268
MARGIN, GAP, ROW_GAP = 32, 6, 18
SMALL_FONT = 12  # pixels
PAPER, INK, FAINT, RULE = (250, 248, 244), (38, 36, 33), (140, 134, 126), (222, 217, 208)


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One shot on the sheet: uint8 [n, height, width, 3] frames, and when it starts and how long it is (seconds)."""

    caption: str
    frames: np.ndarray
    start: float
    seconds: float


def spread_over(length: int, count: int = FRAMES_PER_SHOT) -> list[int]:
    """``count`` of the indices of ``length`` frames, evenly from the first to the last."""
    return [int(index) for index in np.linspace(0, length - 1, count).round()]


def draw_storyboard(title: str, panels: Sequence[Panel], footer: str = "") -> Image.Image:
    """The sheet: ``title`` (the global caption), a row per panel, and a small line at the foot."""
    height, width = panels[0].frames.shape[1:3]
    frame_height = round(FRAME_WIDTH * height / width)
    columns = max(len(panel.frames) for panel in panels)
    sheet_width = 2 * MARGIN + TEXT_WIDTH + columns * (FRAME_WIDTH + GAP) - GAP
    heading, small = font_for(title, 22), font_of(12)
    bodies = [font_for(panel.caption, 16) for panel in panels]  # no font has every script
    title_lines = wrap(title, heading, sheet_width - 2 * MARGIN, most=3)
    most = max(2, (frame_height - 30) // 22)
    texts = [wrap(panel.caption, body, TEXT_WIDTH - 24, most=most) for panel, body in zip(panels, bodies, strict=True)]
    head = MARGIN + 30 * len(title_lines) + 16
    sheet = Image.new("RGB", (sheet_width, head + len(panels) * (frame_height + ROW_GAP) + MARGIN + 8), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(title_lines):
        draw.text((MARGIN, MARGIN + 30 * index), line, fill=INK, font=heading)
    for index, (panel, lines, body) in enumerate(zip(panels, texts, bodies, strict=True)):
        top = head + index * (frame_height + ROW_GAP)
        draw.line((MARGIN, top - ROW_GAP // 2, sheet_width - MARGIN, top - ROW_GAP // 2), fill=RULE)
        label = f"shot {index}  ·  {panel.start:.1f} s  ·  {panel.seconds:.2f} s long"
        draw.text((MARGIN, top + 2), spaced(label, small), fill=FAINT, font=small)
        draw.multiline_text((MARGIN, top + 24), "\n".join(lines), fill=INK, font=body, spacing=5)
        for column, frame in enumerate(panel.frames):
            image = Image.fromarray(frame).resize((FRAME_WIDTH, frame_height), Image.Resampling.LANCZOS)
            sheet.paste(image, (MARGIN + TEXT_WIDTH + column * (FRAME_WIDTH + GAP), top))
    draw.text((MARGIN, sheet.height - MARGIN + 4), spaced(footer, small), fill=FAINT, font=small)
    return sheet


def png(image: Image.Image) -> bytes:
    """``image`` as a PNG file."""
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def wrap(text: str, font: Font, width: int, most: int) -> list[str]:
    """``text`` in at most ``most`` lines no wider than ``width`` pixels; what does not fit ends in an ellipsis.

    Reads no more of ``text`` than can be shown, whatever it is: a word wider than a line is broken.
    """
    space = spaced(" ", font)
    lines: list[str] = []
    for word in _pieces(drawable(text, font), font, width):
        longer = f"{lines[-1]}{space}{word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            return [*lines[:-1], _shortened(lines[-1], font, width)]
    return lines


def _pieces(text: str, font: Font, width: int) -> Iterator[str]:
    """The words of ``text``, those that are too wide in pieces that fit."""
    for match in re.finditer(r"\S+", text):
        word = match[0]
        while len(word) > 1 and _too_wide(word, font, width):
            fits = _fitting(word, font, width)
            yield word[:fits]
            word = word[fits:]
        yield word


def _too_wide(word: str, font: Font, width: int) -> bool:
    """Is ``word`` wider than ``width``? No letter is narrower than a pixel, so that only so many need a look."""
    return len(word) > width or font.getlength(word) > width


def _fitting(word: str, font: Font, width: int) -> int:
    """How many of the first letters of ``word`` fit: at least one."""
    low, high = 1, min(len(word), width)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(word[:middle]) <= width else (low, middle - 1)
    return low


def _shortened(line: str, font: Font, width: int) -> str:
    """``line`` without its last words, or letters, and an ellipsis."""
    space = spaced(" ", font)
    while line and font.getlength(f"{line}{space}…") > width:
        words, _, _ = line.rpartition(space)
        line = words or line[: len(line) // 2]
    return f"{line}{space}…".strip()


def spaced(text: str, font: Font) -> str:
    """``text`` as it has to be drawn in ``font``: the spaces of Pillow's own are so narrow that small ones vanish."""
    small = isinstance(font, ImageFont.FreeTypeFont) and font.size <= SMALL_FONT
    return text.replace(" ", "  ") if small else text
