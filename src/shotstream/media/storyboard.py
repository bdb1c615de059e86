"""A storyboard: one PNG that shows a film at a glance, a row of frames per shot beside its caption."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FRAMES_PER_SHOT = 4
FRAME_WIDTH = 256  # pixels on the sheet
TEXT_WIDTH = 268
MARGIN, GAP, ROW_GAP = 32, 6, 18
SMALL_FONT = 12  # pixels
PAPER, INK, FAINT, RULE = (250, 248, 244), (38, 36, 33), (140, 134, 126), (222, 217, 208)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


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


def spread(frames: np.ndarray, count: int = FRAMES_PER_SHOT) -> np.ndarray:
    """``count`` of ``frames`` [T, ...], evenly from the first to the last."""
    return frames[spread_over(len(frames), count)]


def draw_storyboard(title: str, panels: Sequence[Panel], footer: str = "") -> Image.Image:
    """The sheet: ``title`` (the global caption), a row per panel, and a small line at the foot."""
    height, width = panels[0].frames.shape[1:3]
    frame_height = round(FRAME_WIDTH * height / width)
    columns = max(len(panel.frames) for panel in panels)
    sheet_width = 2 * MARGIN + TEXT_WIDTH + columns * (FRAME_WIDTH + GAP) - GAP
    heading, body, small = font_of(22), font_of(16), font_of(12)
    title_lines = wrap(title, heading, sheet_width - 2 * MARGIN, most=3)
    texts = [wrap(panel.caption, body, TEXT_WIDTH - 24, most=max(2, (frame_height - 30) // 22)) for panel in panels]
    head = MARGIN + 30 * len(title_lines) + 16
    sheet = Image.new("RGB", (sheet_width, head + len(panels) * (frame_height + ROW_GAP) + MARGIN + 8), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(title_lines):
        draw.text((MARGIN, MARGIN + 30 * index), line, fill=INK, font=heading)
    for index, (panel, lines) in enumerate(zip(panels, texts, strict=True)):
        top = head + index * (frame_height + ROW_GAP)
        draw.line((MARGIN, top - ROW_GAP // 2, sheet_width - MARGIN, top - ROW_GAP // 2), fill=RULE)
        label = f"shot {index}  ·  {panel.start:.1f} s  ·  {panel.seconds:.2f} s long"
        draw.text((MARGIN, top + 2), spaced(label, small), fill=FAINT, font=small)
        draw.multiline_text((MARGIN, top + 24), "\n".join(lines), fill=INK, font=body, spacing=5)
        for column, frame in enumerate(panel.frames):
            picture = Image.fromarray(frame).resize((FRAME_WIDTH, frame_height), Image.Resampling.LANCZOS)
            sheet.paste(picture, (MARGIN + TEXT_WIDTH + column * (FRAME_WIDTH + GAP), top))
    draw.text((MARGIN, sheet.height - MARGIN + 4), spaced(footer, small), fill=FAINT, font=small)
    return sheet


def png(picture: Image.Image) -> bytes:
    """``picture`` as a PNG file."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def wrap(text: str, font: Font, width: int, most: int) -> list[str]:
    """``text`` in at most ``most`` lines no wider than ``width`` pixels; what does not fit ends in an ellipsis."""
    lines, space = [""], spaced(" ", font)
    for word in _drawable(text).split():
        while font.getlength(word) > width:  # a word wider than the column: break it
            fits = next(n for n in range(len(word), 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            lines += [word[:fits], ""] if not lines[-1] else ["", word[:fits], ""]
            word = word[fits:]
        longer = f"{lines[-1]}{space}{word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = [line for line in lines if line]
    if len(lines) > most:
        last = lines[most - 1]
        while last and font.getlength(f"{last}{space}…") > width:
            last = last.rpartition(space)[0]
        lines = [*lines[: most - 1], f"{last}{space}…".strip()]
    return lines


def _drawable(text: str) -> str:
    """``text`` in letters Pillow's own font has: accents fall, dashes become hyphens."""
    plain = unicodedata.normalize("NFKD", text.translate({0x2013: "-", 0x2014: "-", 0x2212: "-"}))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def spaced(text: str, font: Font) -> str:
    """``text`` as it has to be drawn in ``font``: the spaces of Pillow's own are so narrow that small ones vanish."""
    small = isinstance(font, ImageFont.FreeTypeFont) and font.size <= SMALL_FONT
    return text.replace(" ", "  ") if small else text


def font_of(size: int) -> Font:
    """Pillow's own font, ``size`` pixels high."""
    return ImageFont.load_default(size)
