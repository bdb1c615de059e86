"""Real processes, killed at random moments while they direct, make, save, export and import: nothing that was
acknowledged is missing, and no film is damaged, ever."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_rig import Nursery

import shotstream
from shotstream.film.director import Director
from shotstream.film.disk.folder import holds_film, peek
from shotstream.film.disk.journal import scan
from shotstream.film.disk.scratch import clean_scratch
from shotstream.film.film import Film
from shotstream.film.record.events import EVENT, Founded
from shotstream.film.record.film_record import FilmRecord
from shotstream.film.record.history import History, without_unchosen
from shotstream.media.video import read_video

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(scope="module")
def nursery(tiny_model: Path) -> Iterator[Nursery]:
    nursery = Nursery(tiny_model)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def director(tiny_model: Path) -> Director:
    return shotstream.load(tiny_model, device="cpu", dtype="float32")


def film_after(lines: list[bytes]) -> FilmRecord:
    founded, *events = [EVENT.validate_json(line) for line in lines]
    assert isinstance(founded, Founded)
    return History(founded, events).record


class Films:
    """The folder in which processes die, and what they were told."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "fox"
        self.counts: Counter[str] = Counter()
        self.saved = False

    def check(self, told: list[dict[str, Any]], director: Director) -> None:
        """After a kill: what was acknowledged is there, and everything opens."""
        self.counts.update(one["what"] for one in told)
        if told:
            self.check_journal(told[-1], scan(self.folder / "journal.jsonl").lines)
        if holds_film(self.folder):
            self.check_film(Film.reopen(director, self.folder))
        self.check_files(told, director)

    def check_journal(self, latest: dict[str, Any], lines: list[bytes]) -> None:
        """The journal begins with what was acknowledged; or it is a new one, of the same film, cleaned."""
        acknowledged = FilmRecord.model_validate_json(json.dumps(latest["record"]))
        if lines[0].decode() == latest["first"]:
            assert len(lines) >= latest["lines"]
            assert film_after(lines[: latest["lines"]]) == acknowledged
        else:
            assert film_after(lines) in (acknowledged, without_unchosen(acknowledged)) and len(lines) == 1

    def check_film(self, film: Film) -> None:
        assert all("cut short" in said for said in film.repairs), film.repairs
        self.counts["records cut short"] += len(film.repairs)
        for take in film.record.all_takes():
            if take.made:
                assert len(film.store.frames(take)) == take.frames
        film.close()

    def check_files(self, told: list[dict[str, Any]], director: Director) -> None:
        """What was written elsewhere is whole or not there."""
        self.saved |= any(one["what"] == "save" for one in told)
        assert (self.root / "a.film").exists() or not self.saved
        if (self.root / "a.film").exists():
            Film.reopen(director, self.root / "a.film").close()
        if (self.root / "a.mp4").exists():
            assert len(read_video(self.root / "a.mp4"))
        imported = {one["imported"]: one["as"] for one in told if "imported" in one}
        for name, record in imported.items():
            assert peek(self.root / name) == FilmRecord.model_validate_json(json.dumps(record))
        for folder in self.root.glob("import-*"):
            if holds_film(folder):
                self.check_film(Film.reopen(director, folder))
            shutil.rmtree(folder)

    def check_nothing_is_left(self, director: Director) -> None:
        """What was half-written goes when the same is written again, what lay in scratch folders at the next start."""
        self.counts["halves left until then"] = len([*self.root.rglob("*.part"), *self.root.glob("shotstream-*")])
        with Film.reopen(director, self.folder) as film:
            film.save(self.root / "a.film")
            film.export(self.root / "a.mp4", force=True)
        clean_scratch(self.root)
        assert not [*self.root.glob("*.part"), *self.root.glob("shotstream-*")]
        assert not list(self.folder.rglob("*.part"))


def directed_and_killed(times: int, nursery: Nursery, director: Director, root: Path, seed: int) -> Counter[str]:
    dice, films = random.Random(seed), Films(root)
    for _ in range(times):
        told = nursery.killed(films.folder, dice.randrange(10**9), dice.uniform(0.05, 1.5))
        films.check(told, director)
        films.counts["kills"] += 1
        films.counts["kills after something was acknowledged"] += bool(told)
    finish(Film.reopen(director, films.folder), director)
    films.check_nothing_is_left(director)
    return films.counts


def finish(film: Film, director: Director) -> None:
    """The film goes on, and is what its script makes."""
    film.resume()
    film.shot("It walks.", seconds=0.5)
    list(film.play())
    film.remake_stale()
    list(film.play())
    assert film.stale == ()
    for index, shot in enumerate(film.shots):
        if shot.chosen is not None and shot.chosen.state == "cut":
            film.remake(index).wait()
            film.remake_stale()
            list(film.play())
    story = film.story()
    twin = director.open(global_caption=story.global_caption, seed=story.seed)
    for shot in story.shots:
        twin.shot(shot.caption, shot.seconds, shot.seed).wait()
    np.testing.assert_array_equal(np.stack(list(film.frames())), np.stack(list(twin.frames())))
    twin.close()
    film.close()


def test_a_few_kills(nursery, director, tmp_path) -> None:
    counts = directed_and_killed(8, nursery, director, tmp_path, seed=1)
    assert counts["kills"] == 8


@pytest.mark.soak
def test_two_hundred_kills(nursery, director, tmp_path, capsys) -> None:
    counts = Counter()
    for round in range(10):
        place = tmp_path / str(round)
        place.mkdir()
        counts += directed_and_killed(20, nursery, director, place, seed=100 + round)
    with capsys.disabled():
        print("\n200 kills:", ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    assert counts["kills"] == 200
