"""A real studio, killed at random moments, exports and imports among what it is at: what was accepted over HTTP is
there when it is started again, and nothing half-made is left over."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from studio_rig import Painter, until

from shotstream.film.disk.folder import JOURNAL
from shotstream.film.disk.scratch import JUST_MADE
from shotstream.film.film import Film
from shotstream.serving.security import UPLOADS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# Loads what a studio needs once; for every line that comes in it forks a process that is one, says its number, and
# waits for its end.
PROGRAM = """
import os, sys, uvicorn
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from studio_rig import Painter
from shotstream.serving.app import make_app
for line in sys.stdin:
    number = os.fork()
    if number == 0:
        app = make_app(Painter, Path(sys.argv[2]), int(sys.argv[3]))
        uvicorn.run(app, port=int(sys.argv[3]), log_level="critical")
        os._exit(0)
    print(number, flush=True)
    os.waitpid(number, 0)
    print("gone", flush=True)
"""


class KilledStudio:
    """A studio in a process of its own, that can be killed and started again on the same films."""

    def __init__(self, films: Path) -> None:
        self.films = films
        self.scratch = films.with_name("scratch")  # where it keeps what it is at
        self.scratch.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self._nursery = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(self.films), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.scratch), "OMP_NUM_THREADS": "1"},
        )
        self._number: int | None = None

    def start(self) -> None:
        print(file=self._nursery.stdin, flush=True)
        self._number = int(self._said())
        until(self.ready, seconds=120)

    def ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self._number is not None:
            os.kill(self._number, signal.SIGKILL)
            self._number = None
            assert self._said() == "gone"

    def halves(self) -> list[Path]:
        """Files that are half-written, and not by the studio that runs."""
        return [part for part in self.films.rglob("*.part") if f"-{self._number}-" not in part.name]

    def close(self) -> None:
        self.kill()
        self.client.close()
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait()
        self._nursery.stdout.close()

    def _said(self) -> str:
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline().strip()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[KilledStudio]:
    studio = KilledStudio(tmp_path / "films")
    yield studio
    studio.close()


def command(dice: random.Random, shots: int) -> dict[str, Any]:
    shot = dice.randrange(max(1, shots))
    new = {"type": "insert", "at": shot, "caption": "it walks", "seconds": 0.6}
    return dice.choice(
        [
            new,
            new,
            {"type": "shoot", "caption": "it sits", "seconds": 1.3},
            {"type": "move", "shot": shot, "to": 0},
            {"type": "delete", "shot": shot},
            {"type": "retake", "shot": shot},
            {"type": "undo"},
            {"type": "redo"},
            {"type": "pause"},
            {"type": "resume"},
        ]
    )


def script(view: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """What commands decide and making does not change: captions, and which takes there are."""
    return [(shot["caption"], tuple(take["id"] for take in shot["takes"])) for shot in view["shots"]]


EXPORTS = ("film.film", "film.mp4", "exports/gif", "exports/clips", "exports/otio")


class Hauls:
    """Exports and imports of a studio, begun beside its commands; a kill may come into the middle of any."""

    def __init__(self, studio: KilledStudio, film: str, counts: Counter[str]) -> None:
        self.studio, self.film, self.counts = studio, film, counts
        self.file = b""  # the film, as exported last
        self.brought: dict[str, Any] = {}  # films whose import was answered, and what they were then

    def begin(self, dice: random.Random) -> threading.Thread:
        export = dice.choice(EXPORTS)
        job = self.bring if self.file and dice.random() < 0.6 else lambda: self.fetch(export)
        thread = threading.Thread(target=job)
        thread.start()
        return thread

    def fetch(self, name: str) -> None:
        self.counts["exports begun"] += 1
        with suppress(httpx.HTTPError), httpx.Client(base_url=self.studio.client.base_url, timeout=30) as client:
            answer = client.get(f"/api/films/{self.film}/{name}")
            if answer.status_code == 200:
                self.counts["exports whole"] += 1
                self.file = answer.content if name == EXPORTS[0] else self.file

    def bring(self) -> None:
        self.counts["imports begun"] += 1
        with suppress(httpx.HTTPError), httpx.Client(base_url=self.studio.client.base_url, timeout=30) as client:
            answer = client.post(UPLOADS, content=self.file)
            if answer.status_code == 201:
                self.counts["imports answered"] += 1
                self.brought[answer.json()["id"]] = script(answer.json())

    def check(self) -> None:
        """Every film in the list opens, answered imports are among them as they were, and nothing else is there."""
        listed = {film["id"] for film in self.studio.client.get("/api/films").json()}
        assert self.brought.keys() <= listed
        for id in listed:
            view = self.studio.client.get(f"/api/films/{id}").json()
            assert script(view) == self.brought.get(id, script(view))
        assert not self.studio.halves()
        left = [one for one in self.studio.films.iterdir() if not (one / JOURNAL).exists()]
        for one in left:  # killed before its lock was there, it may be somebody's who has just begun
            assert not (one / ".lock").exists() and time.time() - one.stat().st_mtime < 2 * JUST_MADE
        for id in listed - {self.film}:  # a few at a time
            self.brought.pop(id, None)
            self.studio.client.delete(f"/api/films/{id}")
            self.counts["films that were imported"] += 1


def directed(studio: KilledStudio, hauls: Hauls, dice: random.Random, counts: Counter[str]) -> None:
    """Command until a random moment, kill, start again, and see that the last word stands."""
    film = hauls.film
    view = studio.client.get(f"/api/films/{film}").json()
    for _ in range(dice.randrange(1, 12)):
        answer = studio.client.post(f"/api/films/{film}/commands", json=command(dice, len(view["shots"])))
        counts[answer.json().get("code", "accepted")] += 1
        view = studio.client.get(f"/api/films/{film}").json()
    haul = hauls.begin(dice)
    haul.join(dice.choice((0.0, 0.05, 0.2, 0.5, 2.0, 30.0)))  # the last ones come to their end
    view = studio.client.get(f"/api/films/{film}").json()
    studio.kill()
    haul.join()
    studio.start()
    again = studio.client.get(f"/api/films/{film}").json()
    assert (script(again), again["paused"]) == (script(view), view["paused"])
    made = {take["id"] for shot in view["shots"] for take in shot["takes"] if take["state"] in ("finished", "cut")}
    there = {take["id"] for shot in again["shots"] for take in shot["takes"] if take["state"] in ("finished", "cut")}
    assert made <= there
    hauls.check()
    counts["kills"] += 1


def run(studio: KilledStudio, kills: int, seed: int) -> Counter[str]:
    dice, counts = random.Random(seed), Counter()
    studio.start()
    film = studio.client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
    hauls = Hauls(studio, film, counts)
    studio.client.post(f"/api/films/{film}/commands", json={"type": "shoot", "caption": "it sits", "seconds": 0.6})
    until(lambda: not studio.client.get(f"/api/films/{film}").json()["queue"])
    hauls.fetch(EXPORTS[0])
    for _ in range(kills):
        directed(studio, hauls, dice, counts)
    studio.client.post(f"/api/films/{film}/commands", json={"type": "resume"})
    until(lambda: not studio.client.get(f"/api/films/{film}").json()["queue"], seconds=120)
    hauls.fetch("film.mp4")
    until(lambda: not list(studio.scratch.glob("*/.lock")))  # what killed studios were at went before this export did
    studio.kill()
    last = Film.reopen(Painter(), studio.films / film)
    assert all("cut short" in said for said in last.repairs)
    assert all(len(shot.chosen.frames) for shot in last.shots if shot.chosen)
    last.close()
    return counts


def test_a_killed_studio_keeps_its_word(studio) -> None:
    assert run(studio, 3, seed=1)["kills"] == 3


@pytest.mark.soak
def test_a_studio_killed_two_hundred_times_keeps_its_word(studio, capsys) -> None:
    counts = run(studio, 200, seed=2)
    with capsys.disabled():
        print("\na studio, 200 kills:", ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    assert counts["kills"] == 200
    assert min(counts[what] for what in ("exports begun", "exports whole", "imports begun", "imports answered")) > 20
