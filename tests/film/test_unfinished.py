"""Interrupted renders: what is picked up, what is not, and when they are forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import shotstream
from shotstream.core.story import Story, make_story
from shotstream.film.director import Director
from shotstream.film.render import KEPT, film_of


@pytest.fixture
def director(tiny_model: Path) -> Director:
    return shotstream.load(tiny_model, device="cpu", dtype="float32")


@pytest.fixture
def story() -> Story:
    shots = [{"caption": caption, "seconds": 0.5} for caption in ("it walks", "it sits")]
    return make_story({"global_caption": "a red fox", "seed": 7, "shots": shots})


def interrupted(director: Director, story: Story, made: int) -> None:
    """A render that ends after so many shots."""
    with pytest.raises(KeyboardInterrupt), film_of(director, story) as film:
        for shot in story.shots[:made]:
            film.shot(shot.caption, shot.seconds, shot.seed).wait()
        raise KeyboardInterrupt


def waiting(cache: Path) -> list[Path]:
    return list(cache.glob("renders/*"))


def test_it_waits_for_the_same_story_and_goes_when_that_is_done(director, story, own_cache) -> None:
    interrupted(director, story, 0)
    assert waiting(own_cache) == []
    interrupted(director, story, 1)
    with film_of(director, story.model_copy(update={"seed": 8})) as film:
        assert film.shots == ()
    with film_of(director, story) as film:
        assert [shot.chosen is not None for shot in film.shots] == [True]
    assert waiting(own_cache) == []


def test_what_cannot_be_gone_on_with_is_made_anew(director, story, own_cache) -> None:
    interrupted(director, story, 1)
    [folder] = waiting(own_cache)
    (folder / "journal.jsonl").write_bytes(b"nonsense")
    with film_of(director, story) as film:
        assert film.shots == ()
        film.shot("not in the story").wait()
        with film_of(director, story) as other:  # somebody else in this program
            assert other.shots == ()
        assert film.retake(0).wait().state == "finished"


def test_two_at_once_do_not_meet(director, story, own_cache) -> None:
    interrupted(director, story, 1)
    [folder] = waiting(own_cache)
    code = (
        "import sys; from shotstream.film.disk.folder import FilmFolder, Path; f = FilmFolder.open(Path(sys.argv[1])); "
    )
    code += "print('open', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, folder], **pipes) as process:
        assert process.stdout.readline().strip() == b"open"
        with film_of(director, story) as film:
            assert film.shots == ()
        assert waiting(own_cache) == [folder]
        process.communicate()
    with film_of(director, story) as film:
        assert len(film.shots) == 1


def test_it_does_not_wait_for_ever(director, story, own_cache) -> None:
    interrupted(director, story, 1)
    [folder] = waiting(own_cache)
    old = time.time() - KEPT - 60
    os.utime(folder / "journal.jsonl", (old, old))
    with film_of(director, story.model_copy(update={"seed": 8})):
        assert folder not in waiting(own_cache)


def test_without_a_place_for_caches_films_are_made_all_the_same(director, story, own_cache) -> None:
    (own_cache / "renders").write_text("a file in the way")
    with film_of(director, story) as film:
        film.shot("it walks", seconds=0.5).wait()
