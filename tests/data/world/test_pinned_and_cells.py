"""Pinned pictures show what their captions say; the truth of cells is where the pixels are."""

from __future__ import annotations

import numpy as np
import pytest

from shotstream.core.errors import InputError
from shotstream.data.clips import PARTS, cells_of
from shotstream.data.world.captions import unknown_words
from shotstream.data.world.phrases import ACCESSORY_NOUNS
from shotstream.data.world.render import ShotPainter
from shotstream.data.world.spec import COLOURS, KINDS
from shotstream.data.world.stills import pin_character, pin_place
from shotstream.data.world.stories import make_story


def test_a_pinned_character_is_told_with_everything_it_wears() -> None:
    for seed in range(40):
        story = make_story(seed)
        for index, character in enumerate(story.characters):
            if not any(role.character == index for shot in story.shots for role in shot.roles):
                continue
            pinned = pin_character(story, index)
            assert pinned.caption.startswith("The ") and ": " in pinned.caption
            worn = {one.kind: ACCESSORY_NOUNS[one.kind] for one in character.accessories}
            assert all(any(noun in pinned.caption for noun in nouns) for nouns in worn.values())
            assert unknown_words(pinned.caption) == []
            (seen,) = ShotPainter(pinned.story, 0, 128, 80).seen_at(0.0)
            assert seen.visible > 0.85 and seen.action == "stand"


def test_a_pinned_place_shows_nobody() -> None:
    story = make_story(3)
    place = pin_place(story, 0)
    assert place.draw(128, 80).shape == (80, 128, 3)
    assert ShotPainter(place.story, 0, 128, 80).seen_at(0.0) == ()
    assert unknown_words(place.caption) == []


def test_who_or_what_is_not_there_cannot_be_pinned() -> None:
    story = make_story(3)
    with pytest.raises(InputError, match="character 7"):
        pin_character(story, 7)
    with pytest.raises(InputError, match="place 9"):
        pin_place(story, 9)


def test_cells_lie_in_the_boxes_of_who_covers_them_and_fill_them() -> None:
    for seed in range(12):
        story = make_story(seed)
        for shot, spec in enumerate(story.shots):
            cells, seen = cells_of(story, shot, [0.5], 10, 16), ShotPainter(story, shot, 256, 160).seen_at(0.5)
            assert ((cells.part == 0) == (cells.role == -1)).all()
            assert ((cells.kind == -1) == (cells.role == -1)).all() and cells.part.max() < len(PARTS)
            for place, role in enumerate(spec.roles):
                character, mine = story.characters[role.character], cells.role[0] == place
                left, top, right, bottom = seen[place].box
                box = np.zeros_like(mine)
                box[int(top * 10) : int(np.ceil(bottom * 10)), int(left * 16) : int(np.ceil(right * 16))] = True
                assert not (mine & ~box).any()
                if seen[place].visible > 0.9 and len(spec.roles) == 1:
                    assert mine.sum() > 0.3 * (right - left) * (bottom - top) * 160
                assert set(cells.kind[0][mine]) <= {KINDS.index(character.kind)}
                assert set(cells.colour[0][mine]) <= {COLOURS.index(character.colour)}
