"""A contact sheet: many stories on one picture, a row per story, frames with their captions beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shotstream.core.geometry import Geometry
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WorldStory
from shotstream.media.storyboard import wrap

PAPER, INK, FAINT = (250, 248, 244), (38, 36, 33), (120, 114, 106)
MARGIN, GAP, LINE, FONT_SIZE = 12, 8, 13, 11  # pixels


@dataclass(frozen=True, slots=True)
class Cell:
    """One shot of one row: frames side by side, uint8 [n, height, width, 3], and its caption."""

    frames: np.ndarray
    caption: str


def contact_sheet(
    stories: Sequence[WorldStory], geometry: Geometry, *, frames_per_shot: int = 1, caption_lines: int = 3
) -> Image.Image:
    """One row per story; of each shot ``frames_per_shot`` frames, evenly spread, at the geometry's size."""
    rows = [[_cell(story, shot, geometry, frames_per_shot) for shot in range(len(story.shots))] for story in stories]
    font = ImageFont.load_default(FONT_SIZE)
    cell_width = frames_per_shot * geometry.width + GAP
    row_height = LINE + geometry.height + (caption_lines + 1) * LINE + GAP
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (2 * MARGIN + columns * cell_width - GAP, 2 * MARGIN + len(rows) * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (story, row) in enumerate(zip(stories, rows, strict=True)):
        top = MARGIN + index * row_height
        name = str(story.seed)
        draw.text((MARGIN, top), name, fill=FAINT, font=font)
        indent = MARGIN + font.getlength(name) + GAP  # not spaces: those of this font are narrow
        title = wrap(story.global_caption, font, round(sheet.width - MARGIN - indent), most=1)[0]
        draw.text((indent, top), title, fill=INK, font=font)
        for column, cell in enumerate(row):
            left, below = MARGIN + column * cell_width, top + LINE + 4
            for number, frame in enumerate(cell.frames):
                sheet.paste(Image.fromarray(frame), (left + number * geometry.width, below))
            lines = wrap(cell.caption, font, cell_width - GAP, most=caption_lines)
            draw.multiline_text((left, below + geometry.height + 2), "\n".join(lines), fill=FAINT, font=font, spacing=2)
    return sheet


def _cell(story: WorldStory, shot: int, geometry: Geometry, count: int) -> Cell:
    length = geometry.shot_frames(geometry.blocks_for(story.shots[shot].seconds))
    wanted = [round((length - 1) * (number + 0.5) / count) for number in range(count)]
    frames = [
        render_shot(
            story, shot, frames=range(at, at + 1), width=geometry.width, height=geometry.height, fps=geometry.fps
        )[0][0]
        for at in wanted
    ]
    return Cell(np.stack(frames), story.shots[shot].caption)
