"""A real studio, killed at random moments: what was accepted over HTTP is there when it is started again."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from studio_rig import Painter, until

from shotstream.film.film import Film

PROGRAM = """
import sys, uvicorn
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from studio_rig import Painter
from shotstream.serving.app import make_app
uvicorn.run(make_app(Painter, Path(sys.argv[2]), int(sys.argv[3])), port=int(sys.argv[3]), log_level="critical")
"""


class KilledStudio:
    """A studio in a process of its own, that can be killed and started again on the same films."""

    def __init__(self, films: Path) -> None:
        self.films = films
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(self.films), str(self.port)]
        self.process = subprocess.Popen(command)
        until(self.ready, seconds=120)

    def ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[KilledStudio]:
    studio = KilledStudio(tmp_path / "films")
    yield studio
    studio.kill()
    studio.client.close()


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


def directed(studio: KilledStudio, film: str, dice: random.Random, counts: Counter[str]) -> None:
    """Command until a random moment, kill, start again, and see that the last word stands."""
    view = studio.client.get(f"/api/films/{film}").json()
    for _ in range(dice.randrange(1, 12)):
        answer = studio.client.post(f"/api/films/{film}/commands", json=command(dice, len(view["shots"])))
        counts[answer.json().get("code", "accepted")] += 1
        view = studio.client.get(f"/api/films/{film}").json()
    studio.kill()
    studio.start()
    again = studio.client.get(f"/api/films/{film}").json()
    assert (script(again), again["paused"]) == (script(view), view["paused"])
    made = {take["id"] for shot in view["shots"] for take in shot["takes"] if take["state"] in ("finished", "cut")}
    there = {take["id"] for shot in again["shots"] for take in shot["takes"] if take["state"] in ("finished", "cut")}
    assert made <= there
    counts["kills"] += 1


def run(studio: KilledStudio, kills: int, seed: int) -> Counter[str]:
    dice, counts = random.Random(seed), Counter()
    studio.start()
    film = studio.client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
    for _ in range(kills):
        directed(studio, film, dice, counts)
    studio.client.post(f"/api/films/{film}/commands", json={"type": "resume"})
    until(lambda: not studio.client.get(f"/api/films/{film}").json()["queue"], seconds=120)
    studio.kill()
    last = Film.reopen(Painter(), studio.films / film)
    assert all("cut short" in said for said in last.repairs)
    assert all(len(shot.chosen.frames) for shot in last.shots if shot.chosen)
    last.close()
    return counts


def test_a_killed_studio_keeps_its_word(studio) -> None:
    assert run(studio, 2, seed=1)["kills"] == 2


@pytest.mark.soak
def test_a_studio_killed_forty_times_keeps_its_word(studio, capsys) -> None:
    counts = run(studio, 40, seed=2)
    with capsys.disabled():
        print("\na studio, 40 kills:", ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    assert counts["kills"] == 40
