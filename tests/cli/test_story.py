"""``shotstream story``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import shipped_schema
from shotstream.media.story_file import read_story

Command = Callable[..., Any]


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    director = SimpleNamespace(
        geometry=Geometry(width=256, height=160, spatial=16, latent_channels=4),
        unknown_words=lambda text: [word for word in ("zebra",) if word in text],
        known_words=lambda: frozenset({"a", "it", "walks", "fox", "wide", "shot", "red", "scarlet", "at", "night"}),
        lost_words=lambda prompt: [],
        prompt=lambda global_caption, caption, shot: f"{global_caption} {caption}",
        text_len=64,
    )
    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(load=lambda name, device: director))
    path = tmp_path / "zebra.yaml"
    path.write_text("global_caption: A zebra.\nshots:\n- {caption: It walks., seconds: 1}\n- {caption: It walks.}\n")
    return path


def test_check_tells_lengths_words_and_weak_cuts(run: Command, story: Path) -> None:
    ran = run("story", "check", story)
    assert ran.code == 0
    assert ran.out.splitlines()[:3] == [
        "shot 0: 21 frames, 1.31 s  It walks.",
        "shot 1: 33 frames, 2.06 s  It walks.",
        "film: 54 frames, 3.38 s",
    ]
    assert "shot 0: 1 s becomes 1.31 s" in ran.out
    assert "shots 0 and 1 ask for nearly the same picture" in ran.out
    assert "words the model does not know: zebra" in ran.out


def test_check_as_json(run: Command, story: Path) -> None:
    data = json.loads(run("story", "check", story, "--json").out)
    assert (data["frames"], data["unknown_words"]) == (54, ["zebra"])
    assert [shot["frames"] for shot in data["shots"]] == [21, 33]


def test_schema(run: Command) -> None:
    assert run("story", "schema").out == shipped_schema()


def test_words_are_those_the_model_knows(run: Command, story: Path) -> None:
    ran = run("story", "words")
    assert ran.out.splitlines() == [
        "characters: fox",
        "colours: red, scarlet",
        "light: at night",
        "actions: walks",
        "framings: wide shot, a wide shot",
    ]
    data = json.loads(run("story", "words", "--json").out)
    assert data["groups"]["colours"] == [["red", "scarlet"]] and not data["any"] and "it" in data["words"]


def test_a_clip_becomes_a_story_of_its_shots(run: Command, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "mine.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 16, (64, 32))
    for frame in range(48):
        writer.write(np.full((32, 64, 3), 200 * (frame >= 16), np.uint8))
    writer.release()
    (tmp_path / "told").mkdir()
    target = tmp_path / "told" / "mine.yaml"
    ran = run("story", "clip", tmp_path / "mine.mp4", "-o", target, "--prompt", "A fox.")
    assert (ran.code, ran.out) == (0, f"{target}\n")
    assert ran.err == "2 shots; write what each shows in the place of its caption\n"
    story = read_story(target)
    assert story.global_caption == "A fox." and [shot.caption for shot in story.shots][1] == "Shot 1 of mine.mp4."
    parts = [(shot.clip.start, shot.clip.stop) for shot in story.shots if shot.clip is not None]
    assert parts == [(0.0, 1.0), (1.0, 3.0)] and {Path(one).resolve() for one in story.files} == {tmp_path / "mine.mp4"}
    again = run("story", "clip", tmp_path / "mine.mp4", "-o", target)
    assert again.code == 2 and "already exists; name another or replace it with --force" in again.err
    (tmp_path / "mine.mp4").rename(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match=r"mine\.mp4: no such file; the story names it"):
        read_story(target)


def test_the_length_of_a_clip_of_ones_own_is_checked(run: Command, story: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 32)).save(tmp_path / "still.png")
    story.write_text("global_caption: A zebra.\nshots: [{caption: A zebra., seconds: 1, clip: still.png}]\n")
    assert run("story", "check", story).out.splitlines()[0] == "shot 0: 21 frames, 1.31 s  A zebra."
