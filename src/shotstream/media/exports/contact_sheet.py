"""Export as a PDF to print: four frames of every shot in a row above its caption."""

from __future__ import annotations

import io
import time
from pathlib import Path

from PIL import Image, ImageDraw

from shotstream.core.files import write_bytes
from shotstream.media.exports.format import Format
from shotstream.media.exports.storyboard import footer_of, panel_of
from shotstream.media.exports.timeline import Timeline, TimelineShot
from shotstream.media.fonts import font_for, font_of
from shotstream.media.storyboard import FAINT, INK, RULE, wrap

DPI = 200
PAGE_MM = (210, 297)  # A4; what is printed fits US letter too
COLUMNS = 4
WHITE = (255, 255, 255)
_EPOCH = time.gmtime(0)  # the same film is the same file, whenever it is printed


def px(millimetres: float) -> int:
    """Pixels on the page."""
    return round(millimetres / 25.4 * DPI)


MARGIN, GAP, FOOT = px(15), px(2), px(24)  # the foot is deeper: letter paper is shorter
WIDTH, HEIGHT = px(PAGE_MM[0]) - 2 * MARGIN, px(PAGE_MM[1]) - MARGIN - FOOT
SMALL, BODY, HEADING = (px(size) for size in (2.6, 3.3, 4.6))
LINE, HEADING_LINE = px(4.6), px(6.4)
CAPTION_LINES, HEADING_LINES = 3, 6


def write_contact_sheet(timeline: Timeline, path: Path) -> None:
    """Draw the pages and write them as PDF, whole or not at all. Raises :class:`StorageError`."""
    first, *others = contact_sheet(timeline)
    data = io.BytesIO()
    first.save(
        data,
        "PDF",
        save_all=True,
        append_images=others,
        resolution=DPI,
        quality=92,
        title=timeline.tags.title,
        subject=" ".join(timeline.tags.story.global_caption.split()),
        keywords=timeline.tags.as_metadata()["comment"],
        creator=f"shotstream {footer_of(timeline)}",
        creationDate=_EPOCH,
        modDate=_EPOCH,
    )
    write_bytes(path, data.getvalue())


def contact_sheet(timeline: Timeline) -> list[Image.Image]:
    """The pages, at :data:`DPI` dots per inch."""
    video = timeline.video
    frame = ((WIDTH - (COLUMNS - 1) * GAP) // COLUMNS, 0)
    frame = (frame[0], min(round(frame[0] * video.height / video.width), HEIGHT // 2))
    row_height = LINE + frame[1] + CAPTION_LINES * LINE + 2 * GAP
    heading = font_for(timeline.tags.story.global_caption, HEADING)
    title = wrap(timeline.tags.story.global_caption, heading, WIDTH, most=HEADING_LINES)
    head = HEADING_LINE * len(title) + 2 * GAP
    first = max(1, (HEIGHT - head) // row_height)
    each = max(1, HEIGHT // row_height)
    groups = [
        timeline.shots[:first],
        *(timeline.shots[at : at + each] for at in range(first, len(timeline.shots), each)),
    ]
    pages = []
    for number, shots in enumerate(groups):
        page = Image.new("RGB", (px(PAGE_MM[0]), px(PAGE_MM[1])), WHITE)
        draw = ImageDraw.Draw(page)
        if number == 0:
            draw.multiline_text((MARGIN, MARGIN), "\n".join(title), fill=INK, font=heading, spacing=px(1.8))
        for row, shot in enumerate(shots):
            top = MARGIN + (head if number == 0 else 0) + row * row_height
            _draw_row(page, draw, shot, video.fps, top, frame)
        foot = f"{timeline.tags.as_metadata()['comment']}   Page {number + 1} of {len(groups)}"
        draw.text((MARGIN, px(PAGE_MM[1]) - FOOT + GAP), foot, fill=FAINT, font=font_of(SMALL))
        pages.append(page)
    return pages


def _draw_row(
    page: Image.Image, draw: ImageDraw.ImageDraw, shot: TimelineShot, fps: int, top: int, frame: tuple[int, int]
) -> None:
    """One shot: a line of facts, its frames, its caption."""
    panel = panel_of(shot, fps, COLUMNS)
    draw.line((MARGIN, top - GAP // 2, MARGIN + WIDTH, top - GAP // 2), fill=RULE, width=2)
    facts = f"shot {shot.index}  ·  {panel.start:.1f} s  ·  {panel.seconds:.2f} s long  ·  seed {shot.seed}"
    draw.text((MARGIN, top + GAP // 2), facts, fill=FAINT, font=font_of(SMALL))
    for column, pixels in enumerate(panel.frames):
        image = Image.fromarray(pixels).resize(frame, Image.Resampling.LANCZOS)
        page.paste(image, (MARGIN + column * (frame[0] + GAP), top + LINE))
    body = font_for(shot.caption, BODY)
    lines = wrap(shot.caption, body, WIDTH, most=CAPTION_LINES)
    place = (MARGIN, top + LINE + frame[1] + GAP)
    draw.multiline_text(place, "\n".join(lines), fill=INK, font=body, spacing=px(1.2))


FORMATS = (Format(name="pdf", suffixes=(".pdf",), kind="application/pdf", write=write_contact_sheet),)
