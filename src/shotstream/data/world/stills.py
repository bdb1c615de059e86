"""Stills of stories: reference images of their characters and places, and contact sheets.

A reference image conditions the shots of its story from the first on, and has a caption of its own, which begins with
a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.world.render import draw_shot, render_shot
from shotstream.data.world.spec import Direction, Framing, Role, WorldShot, WorldStory
from shotstream.data.world.wording import noun_phrase, sentence, setting, voice_of
from shotstream.media.storyboard import wrap

PAPER, INK, FAINT = (250, 248, 244), (38, 36, 33), (120, 114, 106)
MARGIN, GAP, LINE, FONT_SIZE = 12, 8, 13, 11  # pixels
CAPTION_LINES = 3


@dataclass(frozen=True, slots=True)
class PinnedPicture:
    """``story``: its only shot's first frame is the picture; ``caption`` tells the picture alone."""

    story: WorldStory
    caption: str

    def draw(self, width: int, height: int) -> np.ndarray:
        """The picture, uint8 [height, width, 3]."""
        return render_shot(self.story, 0, frames=1, width=width, height=height, fps=1)[0][0]


def pin_character(story: WorldStory, index: int) -> PinnedPicture:
    """Character ``index`` standing in a medium shot, by day, in the place where the story first shows it.

    The caption names everything it wears, as somebody would who gives the picture. Raises :class:`InputError` for
    a character that is in no shot.
    """
    shots = [shot for shot in story.shots if any(role.character == index for role in shot.roles)]
    if not shots:
        raise InputError(f"character {index}: is in no shot of story {story.seed}; pin one that is")
    rng, character = Random(derive(story.seed, "pinned", "character", index)), story.characters[index]
    direction: Direction = rng.choice(("left", "right"))
    noun = voice_of(story).nouns[index]
    looks = noun_phrase(rng, noun, character, colour=True, accessories=character.accessories, definite=False)
    role = Role(character=index, action="stand", direction=direction)
    return _pinned(story, shots[0].place, "medium", (role,), sentence(f"the {noun}: {looks}"))


def pin_place(story: WorldStory, index: int) -> PinnedPicture:
    """Place ``index`` alone, by day. Raises :class:`InputError` for a place that the story has not."""
    if not 0 <= index < len(story.places):
        raise InputError(f"place {index}: story {story.seed} has {len(story.places)}; pin one of them")
    rng, site = Random(derive(story.seed, "pinned", "place", index)), voice_of(story).sites[index]
    where = setting(rng, site, "day", None)
    return _pinned(story, index, "wide", (), sentence(f"the {site.noun}: {where}"))


def _pinned(story: WorldStory, place: int, framing: Framing, roles: tuple[Role, ...], caption: str) -> PinnedPicture:
    shot = WorldShot(
        place=place, time="day", weather="clear", framing=framing, roles=roles, seconds=0.0, caption=caption
    )
    still = WorldStory(
        seed=story.seed, characters=story.characters, places=story.places, global_caption="", shots=(shot,)
    )
    return PinnedPicture(still, caption)


def contact_sheet(stories: Sequence[WorldStory], geometry: Geometry) -> Image.Image:
    """One row per story: the middle frame of every shot, at the geometry's size, with its caption beneath."""
    font = ImageFont.load_default(FONT_SIZE)
    cell_width = geometry.width + GAP
    row_height = LINE + geometry.height + (CAPTION_LINES + 1) * LINE + GAP
    columns = max(len(story.shots) for story in stories)
    sheet = Image.new("RGB", (2 * MARGIN + columns * cell_width - GAP, 2 * MARGIN + len(stories) * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, story in enumerate(stories):
        top = MARGIN + index * row_height
        name = str(story.seed)
        draw.text((MARGIN, top), name, fill=FAINT, font=font)
        indent = MARGIN + font.getlength(name) + GAP  # not spaces: those of this font are narrow
        title = wrap(story.global_caption, font, round(sheet.width - MARGIN - indent), most=1)[0]
        draw.text((indent, top), title, fill=INK, font=font)
        for column, shot in enumerate(story.shots):
            left, below = MARGIN + column * cell_width, top + LINE + 4
            middle = round((geometry.shot_frames(geometry.blocks_for(shot.seconds)) - 1) / 2)
            frame = draw_shot(story, column, range(middle, middle + 1), geometry)[0]
            sheet.paste(Image.fromarray(frame), (left, below))
            lines = "\n".join(wrap(shot.caption, font, geometry.width, most=CAPTION_LINES))
            draw.multiline_text((left, below + geometry.height + 2), lines, fill=FAINT, font=font, spacing=2)
    return sheet
