"""The page of what the embedded model can be asked for, with pictures by the world. Run this file to write both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image
from sources import ROOT

from shotstream.data.world.captions import what_can_be_asked_for
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import (
    ACTIONS,
    KINDS,
    PLACES,
    Action,
    Character,
    Framing,
    Place,
    Role,
    WorldShot,
    WorldStory,
)
from shotstream.families.storyworld import STORYWORLD

PAGE = ROOT / "docs" / "words.md"
IMAGES = ROOT / "docs" / "images"
HEAD = """# Words

What a prompt for the embedded model can ask for. Each line holds the wordings of one thing, the plainest first;
pronouns and small words are understood too. `shotstream story words` prints the same list, and with `--json` every
word. Words outside it are left out of a prompt, and `shotstream generate` says so before it begins.

The pictures show the world that the model learns from, not what the model makes. Written by
`python tests/house/words_page.py`; a test compares the list with the vocabulary.
"""
FRAMINGS: tuple[Framing, ...] = ("wide", "medium", "close-up")
FOX = Character(kind="fox", colour="orange", accessories=(), pattern="plain", pattern_colour="white")
MEADOW = Place(kind="meadow", layout=0, landmark="windmill", landmark_colour="red", landmark_third="right")


def make_page() -> str:
    """The whole document."""
    parts = [HEAD]
    for group, things in what_can_be_asked_for().items():
        parts.append(f"\n## {group.capitalize()}\n\n")
        if group in shown():
            names = ", ".join(name for name, _ in shown()[group])
            parts.append(f"![{group.capitalize()}, from left to right: {names}](images/words-{group}.webp)\n\n")
        parts += [f"- **{wordings[0]}**{''.join(f', {text}' for text in wordings[1:])}\n" for wordings in things]
    return "".join(parts)


def shown() -> dict[str, list[tuple[str, WorldStory]]]:
    """The groups with a picture: what each of its stills is called, and its story of one shot."""
    return {
        "characters": [(kind, still(character=replace(FOX, kind=kind))) for kind in KINDS],
        "places": [(kind, still(place=replace(MEADOW, kind=kind), framing="wide")) for kind in PLACES],
        "actions": [(action, still(action=action)) for action in ACTIONS],
        "framings": [(framing, still(framing=framing)) for framing in FRAMINGS],
    }


def still(
    character: Character = FOX, place: Place = MEADOW, action: Action = "stand", framing: Framing = "medium"
) -> WorldStory:
    role = Role(character=0, action=action, direction="right")
    shot = WorldShot(place=0, time="day", weather="clear", framing=framing, roles=(role,), seconds=2.0, caption="")
    return WorldStory(seed=0, characters=(character,), places=(place,), global_caption="", shots=(shot,))


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """File names and strips of stills, at most four to a row."""
    for group, stills in shown().items():
        drawn = [draw_shot(story, 0, range(12, 13), STORYWORLD.geometry)[0] for _, story in stills]
        rows = [np.concatenate(drawn[first : first + 4], axis=1) for first in range(0, len(drawn), 4)]
        yield f"words-{group}.webp", Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
    for name, image in pictures():
        image.save(IMAGES / name, quality=80)
