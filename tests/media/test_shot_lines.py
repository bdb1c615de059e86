"""Scripts of a line per shot, timed or numbered."""

from __future__ import annotations

import pytest

from shotstream.core.errors import InputError
from shotstream.media.story_file import parse_story

Shots = list[tuple[str, float | None]]
TIMED: Shots = [("It walks.", 5.0), ("It sleeps. It dreams.", 2.5), ("It runs.", None)]
NUMBERED: Shots = [(caption, None) for caption, _ in TIMED]
SCRIPTS: dict[str, tuple[str, Shots]] = {
    "brackets": ("A fox.\n[0:00] It walks.\n[0:05] It sleeps.\n  It dreams.\n[0:07.5] It runs.\n", TIMED),
    "bare": ("A fox.\n\n0:00 It walks.\n0:05 - It sleeps. It dreams.\n0:07.5: It runs.\n", TIMED),
    "hours": ("A fox.\r\n(00:00:00) It walks.\r\n(00:00:05) It sleeps. It dreams.\r\n(00:00:07,500) It runs.", TIMED),
    "seconds": ("A fox.\n[0s] It walks.\n[5s] It sleeps. It dreams.\n[7.5 s] It runs.\n", TIMED),
    "ranges": ("A fox.\n[0:00-0:05] It walks.\n[0:05 - 0:07.5] It sleeps. It dreams.\n[0:07.5] It runs.", TIMED),
    "subtitles": (
        "1\n00:00:00,000 --> 00:00:05,000\nIt walks.\n\n2\n00:00:05,000 --> 00:00:07,500\nIt sleeps.\nIt dreams.\n",
        TIMED[:2],
    ),
    "numbered": ("A fox.\nShot 1: It walks.\nshot 2: It sleeps.\nIt dreams.\nSHOT 3 - It runs.\n", NUMBERED),
    "list": ("A fox.\n1. It walks.\n2) It sleeps.\n   It dreams.\n\n3. It runs.\n", NUMBERED),
    "tags": ("A fox.\n[Shot 1] It walks.\n[Shot 2]\nIt sleeps. It dreams.\n[Shot 3] It runs.\n", NUMBERED),
    "headings": ("A fox.\n## Scene 1\nIt walks.\n## Scene 2\nIt sleeps. It dreams.\n## Scene 3\nIt runs.\n", NUMBERED),
    "markdown": ("A fox.\n**Shot 1:** It walks.\n**Shot 2**: It sleeps. It dreams.\n**Shot 3** - It runs.\n", NUMBERED),
    "lengths": (
        "A fox.\nShot 1 (5 s): It walks.\nShot 2 [0:05-0:07.5]: It sleeps. It dreams.\nShot 3: It runs.",
        TIMED,
    ),
    "styled subtitles": (
        "1\n00:00:00,000 --> 00:00:05,000\n{\\an8}<i>It walks.</i>\n\n2\n00:00:05,000 --> 00:00:07,500\n"
        "It sleeps.\nIt dreams.\n",
        TIMED[:2],
    ),
    "WebVTT": (
        "WEBVTT - a film\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE cut on Monday\n\nfirst\n"
        "00:00.000 --> 00:05.000 align:start position:0%\n<v Ann>It walks.\n\n"
        "00:05.000 --> 00:07.500\nIt sleeps.\nIt dreams.\n",
        TIMED[:2],
    ),
}


@pytest.mark.parametrize(("text", "shots"), SCRIPTS.values(), ids=SCRIPTS)
def test_scripts(text: str, shots: Shots) -> None:
    told: list[str] = []
    story = parse_story(text, "s.txt", tell=told.append)
    assert [(shot.caption, shot.seconds) for shot in story.shots] == shots
    if text.startswith("A fox."):
        assert (story.global_caption, told) == ("A fox.", [])
    else:
        assert told == ["s.txt, line 1: no global caption; 'This scene contains 2 shots.' stands in for it"]


def test_a_story_that_speaks_of_times_is_still_a_story() -> None:
    text = "global_caption: At 5:30 a fox wakes.\nshots:\n- caption: |\n    [0:05] It walks.\n    Shot 2: It sleeps.\n"
    assert parse_story(text, "s.yaml").shots[0].caption == "[0:05] It walks.\nShot 2: It sleeps."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[0:00] It walks.\n[0:05]\n[0:08] It runs.\n", "s.txt, line 2: shot 1 has no words"),
        ("[0:05] It walks.\n[0:03] It runs.\n", "s.txt, line 1: shot 0 ends before it begins"),
        ("[0:00] It walks.\n[0:00.1] It runs.\n", r"s.txt, line 1: shots\[0\].seconds is 0.1"),
    ],
)
def test_what_is_wrong_in_a_script(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_story(text, "s.txt")


def test_lists_of_captions_are_stories() -> None:
    for text in (
        '["It walks.", "It runs."]',
        "- It walks.\n- It runs.\n",
        '[{"caption": "It walks."}, {"caption": "It runs."}]',
    ):
        assert [shot.caption for shot in parse_story(text, "s").shots] == ["It walks.", "It runs."]
