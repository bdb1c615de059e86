"""Faults inside the worker: the viewer is told, the take is made again from its seed, and is the same to the bit."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from studio_rig import client_of, until

import shotstream
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.serving.worker import MOST_RESTARTS

CAPTION, SEED = "a red fox in the forest", 11
SHOTS = ("wide shot. it walks", "it sits")


class Faulty:
    """A real sampler, but for one call of it. ``calls`` is shared by all that were loaded one after the other."""

    def __init__(self, sampler: Callable[..., torch.Tensor], at: int, fault: Callable[[], torch.Tensor]) -> None:
        self.sampler, self.at, self.fault = sampler, at, fault

    def __call__(self, *arguments: Any) -> torch.Tensor:
        Faulty.calls += 1
        clean = self.sampler(*arguments)
        return self.fault().expand_as(clean) if Faulty.calls == self.at else clean

    calls = 0


def raised(fault: Exception) -> Callable[[], torch.Tensor]:
    def fail() -> torch.Tensor:
        raise fault

    return fail


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path) -> list[np.ndarray]:
    """The takes as they are when nothing happens."""
    film = shotstream.load(tiny_model, device="cpu").open(global_caption=CAPTION, seed=SEED)
    return [film.shot(caption, 1.3).wait().frames for caption in SHOTS]


@pytest.mark.parametrize(
    "fault",
    [
        raised(RuntimeError("device-side assert triggered")),
        raised(MemoryError()),
        raised(torch.OutOfMemoryError("out of memory")),
        lambda: torch.full((1,), float("nan")),
    ],
    ids=["device", "memory", "device-memory", "nan"],
)
def test_a_take_that_failed_is_made_again_the_same(tiny_model, tmp_path, undisturbed, caplog, fault) -> None:
    Faulty.calls = 0
    loads: list[Director] = []

    def load() -> Director:
        loads.append(shotstream.load(tiny_model, device="cpu"))
        # Block 0 warms up, 1 and 2 are the first shot's: the second shot's second block fails.
        loads[-1].generator.sampler = Faulty(loads[-1].generator.sampler, 5, fault)
        return loads[-1]

    with client_of(load, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": CAPTION, "seed": SEED}).json()["id"]
        with client.websocket_connect("ws://127.0.0.1:7860/ws") as socket:
            socket.send_json({"type": "hello", "version": 1, "film": film})
            for caption in SHOTS:
                socket.send_json({"type": "shoot", "caption": caption, "seconds": 1.3})
            heard: list[dict[str, Any]] = []
            while not heard or heard[-1]["type"] != "notice":
                message = socket.receive()
                heard += [json.loads(message["text"])] if message.get("text") else []
            assert heard[-1]["code"] == "worker_restarted"
        until(lambda: sum(one["chosen"] is not None for one in client.get(f"/api/films/{film}").json()["shots"]) == 2)
        until(lambda: client.get(f"/api/films/{film}").json()["running"] is None)
    assert len(loads) == 2
    again = Film.reopen(loads[-1], tmp_path / "films" / film)
    assert not again.repairs
    for shot, frames in zip(again.shots, undisturbed, strict=True):
        assert shot.chosen is not None and np.array_equal(shot.chosen.frames, frames)
    again.close()


def test_the_studio_that_died_is_gone_before_the_next_is_loaded(tmp_path, painter, caplog) -> None:
    """If it died for want of memory, two would not fit."""
    caplog.set_level(logging.CRITICAL, "shotstream.serving.worker")  # what caplog keeps would keep it alive
    seen: list[object] = []
    engines: list[weakref.ref[Any]] = []

    class Fragile(type(painter)):
        pass

    def load() -> Fragile:
        seen.append(engines[-1]() if engines else None)
        engine = Fragile()
        engine.fail = not engines
        engines.append(weakref.ref(engine))
        return engine

    with client_of(load, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        client.post(f"/api/films/{film}/shots", json={"caption": "it walks", "seconds": 0.6})
        until(lambda: len(engines) == 2)
        until(lambda: client.get(f"/api/films/{film}").json()["shots"][0]["chosen"] is not None)
    assert seen == [None, None]


def test_failures_that_were_mended_are_not_counted_for_ever(tmp_path, painter, caplog) -> None:
    with client_of(lambda: painter, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        for number in range(2 * MOST_RESTARTS):
            painter.fail = 1
            until(lambda: client.post(f"/api/films/{film}/shots", json=SHOT).status_code == 202)
            until(lambda number=number: made(client, film) == number + 1)
        assert client.get("/readyz").status_code == 200
        painter.fail = 10**6  # it keeps failing: whatever is asked for, no take is made any more
        others = [
            client.post("/api/films", json={"global_caption": "a fox"}).json()["id"] for _ in range(MOST_RESTARTS)
        ]
        gone = lambda: client.get("/healthz").status_code == 503  # noqa: E731
        for other in others:
            until(lambda other=other: client.post(f"/api/films/{other}/shots", json=SHOT).status_code == 202 or gone())
        until(gone)
        assert "keeps failing" in client.get("/api/model").json()["fault"]


SHOT = {"caption": "it walks", "seconds": 0.6}


def made(client, film: str) -> int:
    answer = client.get(f"/api/films/{film}")
    return sum(one["chosen"] is not None for one in answer.json()["shots"]) if answer.status_code == 200 else -1
