"""``shotstream eval``: a film against its story, and what is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shotstream.core.geometry import Geometry
from shotstream.families.storyworld import STORYWORLD
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import FilmTags
from shotstream.media.story_file import read_story

Command = Callable[..., Any]
STORY = "global_caption: a meadow\nshots:\n  - caption: a red fox walks\n  - caption: a blue owl sleeps\n"


@pytest.fixture
def geometry() -> Geometry:
    return STORYWORLD.geometry


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.yaml"
    path.write_text(STORY)
    return path


@pytest.fixture
def film(tmp_path: Path, story: Path, geometry: Geometry) -> Path:
    """Two shots, dark and bright."""
    told = read_story(story, print)
    video = VideoFormat(width=geometry.width, height=geometry.height, fps=geometry.fps)
    tags = FilmTags(title="t", story=told, seed=0, model="m", model_version="1")
    with write_film(tmp_path / "film.mp4", video, tags) as writer:
        for index in range(2):
            grain = np.random.default_rng(index).integers(0, 60, (geometry.height, geometry.width, 3))
            frames = np.repeat((grain + 180 * index).astype(np.uint8)[None], 20, axis=0)
            writer.add_shot(f"shot {index}", frames)
    return tmp_path / "film.mp4"


def test_a_film_is_measured_and_what_could_not_be_is_named(run: Command, film: Path, story: Path) -> None:
    done = run("eval", "film", film, "--story", story, "--json")
    assert done.code == 0
    said = json.loads(done.out)
    assert said["shots"] == [20, 20] and said["cuts"] == [20]
    assert said["measures"]["transition_control"] == pytest.approx(1)
    assert {"dinov2", "clip", "viclip"} <= set(said["absent"])
    plain = run("eval", "film", film, "--story", story)
    assert "transition_control  1.000" in plain.out
    assert "cuts at frames 20" in plain.err and "absent: viclip" in plain.err


def test_a_story_of_another_number_of_shots_is_refused(run: Command, film: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(STORY + "  - caption: a bear dances\n")
    done = run("eval", "film", film, "--story", tmp_path / "other.yaml")
    assert done.code == 2 and done.out == ""
    assert "has 2 shots (chapters), its story 3" in done.err


def test_what_is_no_film_is_refused(run: Command, story: Path) -> None:
    done = run("eval", "film", story, "--story", story)
    assert done.code == 2 and "story.yaml" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("eval", "suite", "nonesuch"), "storyworld-101"),
        (("eval", "suite", "storyworld-101", "--systems", "wizard"), "wizard"),
        (("eval", "suite", "storyworld-101", "--systems", "Mine=here"), "small letters"),
        (("eval", "suite", "storyworld-101", "--systems", "../mine=here"), "small letters"),
        (("eval", "suite", "storyworld-101", "--systems", "student=here"), "not taken"),
        (("eval", "suite", "storyworld-101", "--systems", "mine=no/such/folder"), "no/such/folder"),
        (("eval", "suite", "storyworld-101", "--systems", "mine=a,mine=b"), "twice"),
        (("eval", "report", "storyworld-101", "--systems", "wizard"), "wizard"),
        (("eval", "suite", "storyworld-101", "--detector", "crystal"), "crystal"),
        (("eval", "suite", "storyworld-101", "--stories", "100000"), "100000"),
    ],
)
def test_wrong_names_are_refused_with_the_right_ones(run: Command, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_report_of_nothing_says_what_to_run_first(run: Command, tmp_path: Path) -> None:
    ran = run("eval", "report", "storyworld-101", "--out", tmp_path, "--page", tmp_path / "page.md")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "run shotstream eval suite storyworld-101 first" in ran.err and not (tmp_path / "page.md").exists()
