from __future__ import annotations

import numpy as np

from shotstream.core.geometry import Geometry
from shotstream.data.world.render import render_shot
from shotstream.data.world.stills import FONT_SIZE, GAP, MARGIN, PAPER, contact_sheet
from shotstream.data.world.stories import make_story

GEOMETRY = Geometry(width=96, height=64, spatial=16, latent_channels=4)


def test_a_sheet_shows_every_shot_of_every_story() -> None:
    stories = [make_story(seed, shots=2) for seed in (1, 2)]
    sheet = np.asarray(contact_sheet(stories, GEOMETRY))
    for story in stories:
        for shot in range(2):
            length = GEOMETRY.shot_frames(GEOMETRY.blocks_for(story.shots[shot].seconds))
            middle = round((length - 1) / 2)
            frame = render_shot(story, shot, frames=range(middle, middle + 1), width=96, height=64, fps=16)[0][0]
            assert _contains(sheet, frame)


def test_the_number_stands_clear_of_the_caption() -> None:
    sheet = np.asarray(contact_sheet([make_story(3, shots=2)], GEOMETRY))
    title = sheet[MARGIN : MARGIN + FONT_SIZE + 2]
    (inked,) = (title != PAPER).any(axis=(0, 2)).nonzero()
    number_ends = inked[inked < MARGIN + FONT_SIZE].max()
    assert inked[inked > number_ends].min() - number_ends >= GAP


def _contains(sheet: np.ndarray, frame: np.ndarray) -> bool:
    height, width = frame.shape[:2]
    corner = (sheet == frame[0, 0]).all(axis=-1)
    return any(
        np.array_equal(sheet[top : top + height, left : left + width], frame) for top, left in np.argwhere(corner)
    )
