"""Many viewers at one real studio: fair shares, bounded memory, nothing lost; how long answers took is only told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from crowd import Crowd, attend
from crowd_report import Lived
from studio_process import StudioProcess
from studio_rig import until

from shotstream.film.disk.archive import read_stored
from shotstream.serving.client import StudioClient, StudioError

SECONDS = float(os.environ.get("CROWD_SECONDS", "600"))  # of the soak; a fifth of them warms up
FULL = Crowd(viewers=64, films=8, warm_up=SECONDS / 5, seconds=SECONDS)
SHORT = Crowd(viewers=12, films=3, warm_up=3, seconds=10, frames=150)
FAIR = 0.8  # the least made film has at least so much of what the most made one has,
SHOT = 33  # but for a shot's frames: which film's turn it is when the time is up
MOST_GROWN = 150e6  # bytes of resident memory, behind the warm-up
READY = 600.0  # seconds


class Studio:
    """A studio's process on films that outlive it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options
        self.start()

    def start(self) -> None:
        self.process = StudioProcess(self._folder, *self._options, "--device", "cpu", host="127.0.0.1")
        with StudioClient(self.process.url) as client:
            until(lambda: answers(client), READY)
            client.ready(READY)

    def attended(self, crowd: Crowd) -> Lived:
        return attend(crowd, self.process.url, lambda: psutil.Process(self.process.pid).memory_info().rss)


def answers(client: StudioClient) -> bool:
    try:
        client.model()
    except StudioError:
        return False
    return True


@pytest.fixture
def tiny_studio(tmp_path: Path, tiny_model: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path, "--model", str(tiny_model))
    yield studio
    studio.process.end()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path)
    yield studio
    studio.process.end()


def shares_are_fair(lived: Lived) -> None:
    assert lived.told == []
    assert min(lived.frames.values()) + SHOT >= FAIR * max(lived.frames.values()) > 0
    assert all(lived.pictures)


def nothing_is_lost(studio: Studio, lived: Lived) -> None:
    """What was accepted and what was finished is on the disk, whole, and there when the studio is started again."""
    assert studio.process.end() in (0, 143)
    for film, accepted in lived.accepted.items():
        record, store = read_stored(studio.process.films / film)
        takes = {take.id: take for take in record.takes()}
        assert accepted and accepted <= takes.keys()
        for id, frames in lived.finished[film].items():
            assert takes[id].state == "finished" and len(store.frames(takes[id])) == frames
    studio.start()
    with StudioClient(studio.process.url) as client:
        for film, accepted in lived.accepted.items():
            assert accepted <= {take.id for shot in client.film(film).view().shots for take in shot.takes}
    log = studio.process.log()
    assert "Traceback" not in log and "film " not in log.replace("films in", "")  # nothing had to be mended


def test_a_small_crowd_is_served_fairly(tiny_studio: Studio) -> None:
    lived = tiny_studio.attended(SHORT)
    shares_are_fair(lived)
    nothing_is_lost(tiny_studio, lived)


@pytest.mark.soak
def test_64_viewers_of_8_films(studio: Studio, capsys) -> None:
    lived = studio.attended(FULL)
    with capsys.disabled():
        print(f"\n{lived.table()}\n{json.dumps(lived.figures())}")
    shares_are_fair(lived)
    assert lived.growth < MOST_GROWN
    nothing_is_lost(studio, lived)
