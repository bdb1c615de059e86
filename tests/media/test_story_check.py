"""What a story check tells a person."""

from __future__ import annotations

from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.core.words import words_of
from shotstream.media.story_check import check_story
from shotstream.media.story_file import parse_story

KNOWN = frozenset({"a", "fox", "walks", "waves", "wide", "shot", "close-up", "the", "to", "left", "leopard"})


class Reader:
    """Reads eight words of a prompt: its first four and its last four."""

    geometry = Geometry(width=256, height=160, spatial=16, latent_channels=4)
    text_len = 8

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return f"{global_caption} {caption}"

    def unknown_words(self, text: str) -> list[str]:
        return [word for word in words_of(text) if word not in KNOWN]

    def known_words(self) -> frozenset[str]:
        return KNOWN

    def lost_words(self, prompt: str) -> list[str]:
        return words_of(prompt)[4:-4]


def check(*shots: Shot) -> list[str]:
    return list(check_story(Story(global_caption="A fox.", shots=shots), Reader()).warnings)


def test_lengths_and_words() -> None:
    story = Story(
        global_caption="A leopart.", shots=(Shot(caption="Wide shot.", seconds=2), Shot(caption="The leopart hums."))
    )
    found = check_story(story, Reader())
    assert [(shot.frames, shot.unknown_words) for shot in found.shots] == [(33, ()), (33, ("leopart", "hums"))]
    assert (found.frames, found.seconds) == (66, 66 / 16)
    assert (found.unknown_words, found.nearest, found.blind) == (("leopart", "hums"), {"leopart": "leopard"}, ())
    assert found.warnings == ("words the model does not know: leopart (nearest: leopard), hums",)


def test_shots_of_which_nothing_is_known() -> None:
    shots = (Shot(caption="Zzz qqq."), Shot(caption="Qqq the."))
    assert check_story(Story(global_caption="Xxx.", shots=shots), Reader()).blind == (0,)


def test_what_a_long_prompt_loses_is_named() -> None:
    assert check(Shot(caption="The fox walks to the left.")) == []
    long = Shot(caption="Wide shot. The fox walks to the left.")
    assert check(long) == [
        "shot 0: the prompt is longer than the model reads (8 tokens); 2 words are not read: the fox"
    ]
    (said,) = check(Shot(caption="the " * 40))
    assert said.endswith("34 words are not read: " + "the " * 12 + "...")


def test_rounding_is_mentioned_when_it_shows() -> None:
    assert check(Shot(caption="Wide shot.", seconds=2.06)) == []
    assert check(Shot(caption="Wide shot.", seconds=3.2)) == ["shot 0: 3.2 s becomes 3.56 s, a whole number of blocks"]


def test_longer_than_the_model_was_trained_for_is_mentioned() -> None:
    (said,) = check(Shot(caption="Wide shot.", seconds=8.06))
    assert said.startswith("shot 0: 8.06 s is longer than the 5.06 s the model was trained for")


def test_an_endless_shot_is_mentioned() -> None:
    (said,) = check(Shot(caption="Wide shot.", seconds=2, endless=True))
    assert said.startswith("shot 0: goes on for at least 2.06 s until it is cut")


def test_weak_cuts() -> None:
    walk, wave = Shot(caption="Wide shot. The fox walks."), Shot(caption="Close-up. The fox waves.")
    assert check(walk, wave, walk) == []
    assert "shots 1 and 2" in check(wave, walk, Shot(caption="wide shot: the fox walks"))[0]


def test_the_sentence_that_counts_the_shots_is_no_unknown_word() -> None:
    told = parse_story("Shot 1: The fox walks.\nShot 2: Qqq.\n", "s.txt")
    found = check_story(told, Reader())
    assert (found.unknown_words, found.blind) == (("qqq",), (1,))
    theirs = parse_story("[global caption] A fox. This scene contains 1 shot. [per shot caption] The fox walks.")
    assert check_story(theirs, Reader()).unknown_words == ()
