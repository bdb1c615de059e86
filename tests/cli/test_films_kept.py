"""``shotstream films``: the list of films and making room, on films as the studio keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shotstream

Command = Callable[..., Any]
NAME = "0123456789ab"


@pytest.fixture
def kept(tiny_model: Path, tmp_path: Path) -> Path:
    """A folder of films with one in it, that has two takes of its only shot."""
    director = shotstream.load(tiny_model, device="cpu", dtype="float32")
    film = director.open(global_caption="a red fox", seed=7, folder=tmp_path / "films" / NAME)
    film.shot("it walks", seconds=0.5).wait()
    film.retake(0).wait()
    film.delete(film.duplicate(0).shot)
    film.close()
    return tmp_path / "films"


def test_films_are_listed_with_their_size(run: Command, kept: Path) -> None:
    listed = json.loads(run("films", "list", "--films", kept, "--json").out)
    assert [(one["id"], one["shots"], one["global_caption"]) for one in listed["films"]] == [(NAME, 1, "a red fox")]
    on_disk = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    assert listed["bytes"] == listed["films"][0]["bytes"] == on_disk
    ran = run("films", "list", "--films", kept)
    assert ran.out.startswith(NAME) and "1 film," in ran.err


def test_clean_makes_room(run: Command, kept: Path) -> None:
    left, young, other = (kept / name for name in ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "holiday"))
    for folder in (left, young, other):
        (folder / "takes").mkdir(parents=True)
    for folder in (left, other):
        os.utime(folder, (0, 0))
    before = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    freed = json.loads(run("films", "clean", NAME, "--films", kept, "--unchosen", "--json").out)
    after = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    assert freed == {"films": {NAME: before - after}, "bytes": before - after} and before > after
    assert not left.exists() and young.exists() and other.exists()
    assert [path.name for path in (kept / NAME / "takes").iterdir()] == ["00001.mp4"]
    assert run("films", "clean", "--films", kept).out == f"{NAME}  0.0 MB freed\n"


def test_a_film_that_is_not_there(run: Command, kept: Path) -> None:
    for name in ("ffffffffffff", "../films"):
        ran = run("films", "clean", name, "--films", kept)
        assert (ran.code, ran.out) == (2, "") and f"{name}: there is no such film" in ran.err
