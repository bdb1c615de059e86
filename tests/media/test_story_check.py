"""What a story check tells a person."""

from __future__ import annotations

from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.media.story_check import check_story

GEOMETRY = Geometry(width=256, height=160, spatial=16, latent_channels=4)
KNOWN = {"a", "fox", "walks", "waves", "wide", "shot", "close", "up", "the", "to", "left"}


def unknown(text: str) -> list[str]:
    return [word for word in text.lower().replace(".", "").replace("-", " ").split() if word not in KNOWN]


def check(*shots: Shot) -> list[str]:
    return list(check_story(Story(global_caption="A fox.", shots=shots), GEOMETRY, unknown).warnings)


def test_lengths_and_words() -> None:
    story = Story(
        global_caption="A zebra.", shots=(Shot(caption="Wide shot.", seconds=2), Shot(caption="The zebra prances."))
    )
    found = check_story(story, GEOMETRY, unknown)
    assert [(shot.frames, shot.unknown_words) for shot in found.shots] == [(33, ()), (33, ("zebra", "prances"))]
    assert (found.frames, found.seconds) == (66, 66 / 16)
    assert found.unknown_words == ("zebra", "prances")
    assert found.warnings == ("words the model does not know: zebra, prances",)


def test_rounding_is_mentioned_when_it_shows() -> None:
    assert check(Shot(caption="Wide shot.", seconds=2.06)) == []
    assert check(Shot(caption="Wide shot.", seconds=3.2)) == ["shot 0: 3.2 s becomes 3.56 s, a whole number of blocks"]


def test_weak_cuts() -> None:
    walk, wave = Shot(caption="Wide shot. The fox walks."), Shot(caption="Close-up. The fox waves.")
    assert check(walk, wave, walk) == []
    assert "shots 1 and 2" in check(wave, walk, Shot(caption="wide shot: the fox walks"))[0]
