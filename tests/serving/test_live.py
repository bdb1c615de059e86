"""The live socket and the worker behind it: directing, two viewers, viewers that go, a model that fails."""

from __future__ import annotations

import errno
import json
import threading
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect
from studio_rig import client_of, until

from shotstream.serving.frames import unpack
from shotstream.serving.protocol import MAX_MESSAGE

WS = "ws://127.0.0.1:7860/ws"


class Viewer:
    """One socket, and everything it has heard and seen."""

    def __init__(self, socket: Any, film: str) -> None:
        self.socket, self.film = socket, film
        self.pictures: list[tuple[int, int]] = []
        self.heard: list[dict[str, Any]] = []
        self.ref = 0

    def next(self) -> dict[str, Any] | None:
        message = self.socket.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"])
        if message.get("bytes"):
            self.pictures += [(one.take, one.frame) for one in unpack(message["bytes"])]
            return None
        self.heard.append(json.loads(message["text"]))
        return self.heard[-1]

    def until(self, wanted: Any) -> dict[str, Any]:
        while True:
            heard = self.next()
            if heard is not None and wanted(heard):
                return heard

    def send(self, type: str, **fields: Any) -> int:
        self.ref += 1
        self.socket.send_text(json.dumps({"type": type, "ref": self.ref, **fields}))
        return self.ref

    def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        ref = self.send(type, **fields)
        return self.until(lambda one: (one.get("ref") == ref and one["type"] != "accepted") or one["type"] == "welcome")

    def hello(self) -> dict[str, Any]:
        return self.ask("hello", version=1, film=self.film)

    def made(self, shots: int) -> dict[str, Any]:
        def all_made(one: dict[str, Any]) -> bool:
            return (
                one["type"] == "film"
                and one["running"] is None
                and sum(shot["chosen"] is not None for shot in one["shots"]) >= shots
            )

        return self.until(all_made)


@pytest.fixture
def viewer(client, film):
    with client.websocket_connect(WS) as socket:
        viewer = Viewer(socket, film)
        assert viewer.hello()["film"]["id"] == film
        yield viewer


def test_a_shot_is_seen_as_it_is_made(viewer) -> None:
    take = viewer.ask("shoot", caption="it walks")["take"]
    film = viewer.made(1)
    assert film["shots"][0]["takes"][0]["frames"] == 21
    viewer.ask("stop")
    assert viewer.pictures == sorted(set(viewer.pictures)) and {take} == {one for one, _ in viewer.pictures}
    meters = [one for one in viewer.heard if one["type"] == "meters"][-1]
    assert meters["fps"] > 0 and meters["first_frame_seconds"] >= 0


def test_directing_while_it_plays(viewer, painter) -> None:
    painter.gate.clear()
    viewer.ask("shoot", caption="it walks", seconds=5.06)
    painter.gate.set()
    viewer.until(lambda one: one["type"] == "film" and one["shots"] and one["shots"][0]["takes"][0]["frames"] >= 9)
    assert viewer.ask("change", caption="it sits")["type"] == "applied"
    assert viewer.ask("extend", blocks=2)["type"] == "applied"
    queued = viewer.ask("shoot", caption="the forest", seconds=0.6)["take"]
    removed = viewer.ask("shoot", caption="a fox", seconds=0.6)["take"]
    assert viewer.ask("remove", take=removed)["type"] == "applied"
    assert viewer.ask("cut")["type"] == "applied"
    film = viewer.made(2)
    first, second = film["shots"]
    assert (first["takes"][0]["state"], first["takes"][0]["changes"]) == ("cut", ["it sits"])
    assert 9 <= first["takes"][0]["frames"] < 81
    assert second["takes"][0]["id"] == queued
    retake = viewer.ask("retake", shot=0)["take"]
    film = viewer.until(lambda one: one["type"] == "film" and one["shots"][0]["chosen"] == retake)
    assert film["shots"][1]["stale"]
    assert viewer.ask("choose", shot=0, take=first["takes"][0]["id"])["type"] == "applied"
    assert viewer.ask("remake", shot=1)["type"] == "applied"


def test_the_film_is_edited_while_it_is_made(viewer, painter) -> None:
    for caption in ("it walks", "it sits"):
        viewer.ask("shoot", caption=caption, seconds=0.6)
    viewer.made(2)
    viewer.ask("pause")
    inserted = viewer.ask("insert", at=1, caption="the forest", seconds=0.6)["take"]
    film = viewer.made(3)
    assert not film["paused"] and film["shots"][1]["chosen"] == inserted
    assert [shot["stale"] for shot in film["shots"]] == [False, False, True]
    viewer.ask("lock", shot=0, locked=True)
    assert viewer.ask("retake", shot=0)["code"] == "refused"
    assert viewer.ask("remake_stale")["type"] == "applied"
    film = viewer.until(lambda one: one["type"] == "film" and len(one["shots"][2]["takes"]) == 2 and not one["queue"])
    film = viewer.until(lambda one: one["type"] == "film" and one["running"] is None)
    assert [shot["stale"] for shot in film["shots"]] == [False] * 3 and film["shots"][0]["locked"]
    for type, fields, shots in (
        ("move", {"shot": 2, "to": 1}, 3),
        ("duplicate", {"shot": 0}, 4),
        ("delete", {"shot": 3}, 3),
        ("branch", {"name": "other", "after": 0}, 1),
        ("switch", {"branch": "main"}, 3),
        ("drop", {"branch": "other"}, 3),
        ("undo", {}, 3),
        ("redo", {}, 3),
    ):
        ref = viewer.send(type, **fields)
        film = viewer.until(lambda one: one["type"] == "film")
        assert len(film["shots"]) == shots, type
        assert viewer.until(lambda one, ref=ref: one.get("ref") == ref)["type"] == "applied"
        if type == "switch":
            assert film["branches"][1] == {"name": "other", "shots": 1, "shared": 1}
    main = {"name": "main", "shots": 3, "shared": 3}
    assert (film["branch"], film["branches"], film["undo"]) == ("main", [main], "drop")


def test_undo_takes_back_the_shot_that_is_being_made(viewer, painter) -> None:
    viewer.ask("shoot", caption="it walks", seconds=5.06)
    viewer.until(lambda one: one["type"] == "film" and one["running"] is not None)
    assert viewer.ask("undo")["type"] == "applied"
    film = [one for one in viewer.heard if one["type"] == "film"][-1]
    assert (film["shots"], film["running"], film["redo"]) == ([], None, "insert")
    viewer.ask("redo")
    viewer.until(lambda one: one["type"] == "film" and one["running"] is not None)
    viewer.ask("cut")


def test_refusals_come_by_name_and_change_nothing(viewer, client, film) -> None:
    before = client.get(f"/api/films/{film}").json()
    for text, code in (
        ("nonsense", "malformed"),
        ('{"type": "shoot"}', "malformed"),
        ('{"type": "shoot", "caption": "x", "seconds": 99}', "malformed"),
        ('{"type": "shoot", "caption": "x", "surprise": 1}', "malformed"),
        ('"' + "x" * MAX_MESSAGE + '"', "too_large"),
        ('{"type": "cut"}', "nothing_running"),
        ('{"type": "extend"}', "nothing_running"),
        ('{"type": "change", "caption": "x"}', "nothing_running"),
        ('{"type": "choose", "shot": 0, "take": 7}', "refused"),
        (json.dumps({"type": "hello", "version": 1, "film": film}), "hello_twice"),
    ):
        viewer.socket.send_text(text)
        assert viewer.until(lambda one: one["type"] == "refused")["code"] == code
    viewer.socket.send_bytes(b"\x00")
    assert viewer.until(lambda one: one["type"] == "refused")["code"] == "malformed"
    assert client.get(f"/api/films/{film}").json() == before


def test_first_things_first(client, film) -> None:
    with client.websocket_connect(WS) as socket:
        viewer = Viewer(socket, "0" * 12)
        assert viewer.ask("cut")["code"] == "hello_first"
        assert viewer.hello()["code"] == "no_such_film"
        viewer.film = film
        assert viewer.hello()["type"] == "welcome"
    with client.websocket_connect(WS) as socket:
        viewer = Viewer(socket, film)
        assert viewer.ask("hello", version=9, film=film)["code"] == "wrong_version"
        with pytest.raises(WebSocketDisconnect) as ended:
            viewer.next()
        assert ended.value.code == 1002


def test_a_foreign_page_cannot_open_a_socket(client) -> None:
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(WS, headers=headers):
            pass


def test_a_second_tab_sees_and_directs_the_same_film(viewer, client, film) -> None:
    with client.websocket_connect(WS) as socket:
        other = Viewer(socket, film)
        other.hello()
        take = other.ask("shoot", caption="it walks", seconds=0.6)["take"]
        for one in (viewer, other):
            one.made(1)
        viewer.ask("stop")
        other.ask("stop")
        assert {one for one, _ in viewer.pictures} == {one for one, _ in other.pictures} == {take}


def test_a_viewer_that_vanishes_takes_nothing_with_it(client, film, painter) -> None:
    with client.websocket_connect(WS) as socket:
        viewer = Viewer(socket, film)
        viewer.hello()
        viewer.ask("shoot", caption="it walks", seconds=5.06)
        viewer.ask("shoot", caption="it sits")
    until(lambda: client.get("/healthz").json()["viewers"] == 0)
    until(lambda: all(shot["chosen"] is not None for shot in client.get(f"/api/films/{film}").json()["shots"]))


def test_a_model_that_fails_is_started_again_and_nothing_is_lost(painter, tmp_path, caplog) -> None:
    loads = []

    def load():
        loads.append(painter)
        return painter

    with client_of(load, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        with client.websocket_connect(WS) as socket:
            viewer = Viewer(socket, film)
            viewer.hello()
            viewer.ask("shoot", caption="it walks", seconds=0.6)
            viewer.made(1)
            painter.fail = 1
            viewer.ask("shoot", caption="it sits", seconds=0.6)
            assert viewer.until(lambda one: one["type"] == "notice")["code"] == "worker_restarted"
            assert len(viewer.made(2)["shots"]) == 2
            painter.fail = 2
            viewer.ask("shoot", caption="the forest", seconds=0.6)
            viewer.until(lambda one: one["type"] == "notice" and one["code"] == "take_failed")
            paused = viewer.until(lambda one: one["type"] == "film")
            assert paused["paused"] and len(paused["queue"]) == 1
            until(lambda: client.get("/readyz").status_code == 200)
            assert viewer.ask("resume")["type"] == "applied"
            viewer.made(3)
    assert len(loads) == 4


def test_a_worker_that_cannot_go_on_says_so(tmp_path, caplog) -> None:
    from starlette.testclient import TestClient

    from shotstream.serving.app import make_app

    def load():
        raise RuntimeError("no weights")

    app = make_app(load, tmp_path / "films", 7860)
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        until(lambda: client.get("/healthz").status_code == 503)
        ready = client.get("/readyz")
        assert ready.status_code == 503 and "no weights" in ready.json()["model"]["fault"]
        answer = client.post("/api/films", json={"global_caption": "a fox"})
        assert (answer.status_code, answer.json()["code"]) == (503, "closed")


def test_a_full_disk_is_told_and_the_film_waits(client, film, monkeypatch) -> None:
    def full(file, data):
        file.write(data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with client.websocket_connect(WS) as socket:
        viewer = Viewer(socket, film)
        viewer.hello()
        with monkeypatch.context() as patch:
            patch.setattr("shotstream.film.disk.journal._write", full)
            answer = viewer.ask("shoot", caption="it walks")
        assert answer["code"] == "storage"
        assert answer["text"].endswith("journal.jsonl: the disk is full; make room")
        assert viewer.ask("shoot", caption="it walks", seconds=0.6)["type"] == "applied"
        assert len(viewer.made(1)["shots"]) == 1


def test_everything_is_there_after_a_restart(painter, tmp_path) -> None:
    with client_of(lambda: painter, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        with client.websocket_connect(WS) as socket:
            viewer = Viewer(socket, film)
            viewer.hello()
            take = viewer.ask("shoot", caption="it walks")["take"]
            viewer.made(1)
            assert viewer.ask("position", take=take, frame=7)["type"] == "applied"
        before = client.get(f"/api/films/{film}").json()
    with client_of(lambda: painter, tmp_path / "films") as client:
        after = client.get(f"/api/films/{film}").json()
        assert after == before and after["position"] == {"take": take, "frame": 7}


def test_commands_are_taken_in_at_once_and_act_at_the_same_block(viewer, painter, monkeypatch) -> None:
    """Sent while a block is made; what ends the running shot goes before what is to come."""
    inside, hold = threading.Event(), threading.Event()

    def painted(prompt: str, first: int, frames: np.ndarray) -> np.ndarray:
        if first:  # the second block
            inside.set()
            hold.wait(20)
        return frames

    monkeypatch.setattr(painter, "painted", painted)
    viewer.ask("shoot", caption="it walks", seconds=5)
    assert inside.wait(60)
    refs = [viewer.send("shoot", caption=f"it sits {number}", seconds=0.6) for number in range(3)]
    refs.append(viewer.send("cut"))
    for ref in refs:  # while the block is not made
        assert viewer.until(lambda one, ref=ref: one.get("ref") == ref)["type"] == "accepted"
    hold.set()
    told = [viewer.until(lambda one, ref=ref: one.get("ref") == ref) for ref in refs]
    assert [one["type"] for one in told] == ["applied"] * 4
    assert {one["block"] for one in told} == {None}  # the cut came first: nothing is made any more


def test_reading_never_waits_for_a_block(client, viewer, painter) -> None:
    """The film, its pictures and its exports come from what was published last."""
    take = viewer.ask("shoot", caption="it walks", seconds=0.6)["take"]
    viewer.made(1)
    painter.gate.clear()  # no block is made from here on
    try:
        viewer.ask("shoot", caption="it sits")
        film = f"/api/films/{viewer.film}"
        assert len(client.get(film).json()["shots"]) == 2
        assert client.get(f"{film}/takes/{take}/frames/3").content.startswith(b"\xff\xd8")
        assert client.get(f"{film}/takes/{take}/frames").status_code == 200
        assert client.get(f"{film}/film.film").content.startswith(b"PK")
    finally:
        painter.gate.set()
