"""A studio of real replica processes behind one front: seats, a replica that is killed, films that go on."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from studio_rig import PORT, Painter, Server, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import shotstream
from shotstream.film.disk.archive import read_stored
from shotstream.serving.client import StudioClient, StudioError
from shotstream.serving.fleet import replica_pool
from shotstream.serving.fleet.processes import Launcher, ReplicaSettings, process_launcher
from shotstream.serving.fleet.replica_pool import ReplicaPool
from shotstream.serving.fleet.router import INBOX, make_router
from shotstream.serving.security import REALTIME, is_loopback

TOKEN = "between-the-front-and-its-replicas"
CAPTION, SHOTS, SEED = "a red fox in the forest", ("wide shot. it walks", "it sits", "it waves"), 5
LONG = 5.0  # seconds of a shot
PATIENCE = 300.0  # seconds: a replica loads torch


class Fleet(Server):
    """A front with real replicas behind it; ``pid``: of the process that holds a film."""

    def __init__(self, films: Path, launch: Launcher, pid_of: Callable[[Any], int], seats: int) -> None:
        self.launch, self.pid_of, self.seats = launch, pid_of, seats
        self.pool: ReplicaPool | None = None
        super().__init__(Painter, films)

    def app(self) -> ASGIApp:
        guard = make_router(self.launch, self.port, replicas=2, seats=self.seats, replica_token=TOKEN)
        self.pool = guard.app.state.pool
        return guard

    def ready(self, replicas: int) -> bool:
        return self.pool is not None and len(self.pool.placement.replicas) == replicas

    def holder(self, film: str) -> Any:
        assert self.pool is not None
        name = self.pool.placement.homes[film]
        return next(slot.replica for slot in self.pool.slots if slot.name == name)

    def kill(self, film: str) -> None:
        os.kill(self.pid_of(self.holder(film)), signal.SIGKILL)


def settings_of(model: Path, films: Path) -> ReplicaSettings:
    films.mkdir()
    return ReplicaSettings(films=str(films), token=TOKEN, loading={"model": str(model), "device": "cpu"})


@pytest.fixture
def fleet(tiny_model: Path, tmp_path: Path) -> Iterator[Fleet]:
    settings = settings_of(tiny_model, tmp_path / "films")
    fleet = Fleet(tmp_path / "films", process_launcher(settings, 2), lambda replica: replica.pid, seats=1)
    try:
        until(lambda: fleet.ready(2), PATIENCE)
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture
def studio(fleet: Fleet) -> Iterator[StudioClient]:
    with StudioClient(fleet.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path) -> list[np.ndarray]:
    film = shotstream.load(tiny_model, device="cpu").open(global_caption=CAPTION, seed=SEED)
    return [film.shot(caption, 1.3).wait().frames for caption in SHOTS]


@contextmanager
def line_to(fleet: Fleet, film: str) -> Iterator[ClientConnection]:
    with connect(fleet.url.replace("http", "ws") + "ws", proxy=None) as line:
        line.send(json.dumps({"type": "hello", "version": 1, "film": film}))
        yield line


def heard(line: ClientConnection, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    while True:
        message = line.recv(PATIENCE)
        if isinstance(message, str) and wanted(said := json.loads(message)):
            return said


def made_the_same(fleet: Fleet, film: str, undisturbed: list[np.ndarray]) -> None:
    record, store = read_stored(fleet.films / film)
    for shot, frames in zip(record.shots, undisturbed, strict=True):
        (take,) = [take for take in shot.takes if take.id == shot.chosen]
        assert np.array_equal(store.frames(take), frames)


def patiently(ask: Callable[[], object]) -> bool:
    """Has it been answered? While a film moves, it may be refused."""
    try:
        return bool(ask())
    except StudioError as fault:
        assert fault.code in ("busy", "not_ready", "refused"), fault
        return False


def test_a_video_is_made_by_a_replica(fleet) -> None:
    with httpx.Client(base_url=fleet.url, trust_env=False, timeout=PATIENCE) as client:
        video = client.post("/v1/videos", json={"prompt": CAPTION, "seconds": 0.6}).json()
        assert fleet.holder(video["id"].removeprefix("video_")) is not None
        until(lambda: client.get(f"/v1/videos/{video['id']}").json()["status"] == "completed", PATIENCE)
        assert [one["id"] for one in client.get("/v1/videos").json()["data"]] == [video["id"]]
        assert client.get(f"/v1/videos/{video['id']}/content").content[4:8] == b"ftyp"
        assert client.delete(f"/v1/videos/{video['id']}").json()["deleted"]
        assert client.get(f"/v1/videos/{video['id']}").json()["error"]["code"] == "no_such_film"
    with connect(fleet.url.replace("http", "ws") + REALTIME[1:], proxy=None) as line:
        assert "without --replicas" in json.loads(line.recv(PATIENCE))["message"]


def test_a_killed_replica_takes_nothing_with_it(fleet, studio, undisturbed) -> None:
    films = [studio.begin(CAPTION, seed=SEED) for _ in range(2)]
    assert fleet.holder(films[0].id) is not fleet.holder(films[1].id)
    with line_to(fleet, films[0].id) as line:  # before anything is made: a film that is watched takes its time
        heard(line, lambda one: one["type"] == "welcome")
        for film in films:
            for caption in SHOTS:
                film.shoot(caption, seconds=1.3)
        heard(line, lambda one: one["type"] == "film" and one["running"] is not None)
        fleet.kill(films[0].id)
        assert heard(line, lambda one: one["type"] == "notice")["code"] == "moved"
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(PATIENCE)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    for film in films:
        until(lambda film=film: patiently(lambda: not film.view().queue and film.view().running is None), PATIENCE)
    with line_to(fleet, films[0].id) as line:
        assert heard(line, lambda one: one["type"] == "welcome")["film"]["id"] == films[0].id
    found = counted(studio)
    assert (found["shotstream_replica_deaths_total"], found["shotstream_films_moved_total"]) == (1, 1)
    assert found["shotstream_frames_total"] > 0
    assert 'shotstream_frames_total{replica="' in studio.ask("GET", "/metrics").text
    fleet.stop()
    for film in films:
        made_the_same(fleet, film.id, undisturbed)


class Gone:
    """A replica that has died a moment ago, and of which nobody knows it yet."""

    url = "http://127.0.0.1:9"

    def alive(self) -> bool:
        return True

    def end(self) -> None:
        pass

    def kill(self) -> None:
        pass


def test_a_request_that_was_under_way_is_told_that_the_film_goes_on_elsewhere() -> None:
    front = make_router(lambda slot: Gone(), PORT, replicas=1, seats=1, replica_token=TOKEN)
    with TestClient(front, base_url=f"http://127.0.0.1:{PORT}") as client:
        pool = front.app.state.pool
        until(lambda: pool.slots[0].replica is not None)
        pool.placement.join(pool.slots[0].name)
        answer = client.get("/api/films/0123456789ab")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")


def test_a_replica_ends_with_its_front(tiny_model, tmp_path) -> None:
    """However the front ends, its side of the replica's standard input is closed."""
    replica = process_launcher(settings_of(tiny_model, tmp_path / "films"), 1)(0)
    assert replica.alive()
    replica._process.stdin.close()
    until(lambda: not replica.alive(), PATIENCE)
    replica.kill()


def test_a_replica_that_only_seems_dead_writes_nothing_more(fleet, studio, tiny_model) -> None:
    film = studio.begin(CAPTION, seed=SEED)
    replica = fleet.holder(film.id)
    with line_to(fleet, film.id) as line:
        heard(line, lambda one: one["type"] == "welcome")
        film.shoot(SHOTS[0], seconds=LONG)  # who watches it for so long has not seen its end when the doubt comes
        heard(line, lambda one: one["type"] == "film" and one["running"] is not None)
        replica.alive = lambda: False  # it makes a block and does not get round to answering
        assert heard(line, lambda one: one["type"] == "notice")["code"] == "moved"
    until(lambda: patiently(lambda: not film.view().queue and film.view().running is None), PATIENCE)
    assert fleet.holder(film.id) is not replica
    fleet.stop()
    alone = shotstream.load(tiny_model, device="cpu").open(global_caption=CAPTION, seed=SEED)
    made_the_same(fleet, film.id, [alone.shot(SHOTS[0], LONG).wait().frames])


def counted(studio: StudioClient) -> dict[str, float]:
    """Every sample, summed over replicas."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(studio.ask("GET", "/metrics").text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_who_finds_no_seat_is_told_the_truth(fleet, studio) -> None:
    films = [studio.begin(CAPTION) for _ in range(4)]
    with ExitStack() as waiters:
        with ExitStack() as seated:
            for film in films[:2]:
                heard(seated.enter_context(line_to(fleet, film.id)), lambda one: one["type"] == "welcome")
            waiting = [waiters.enter_context(line_to(fleet, films[index].id)) for index in (2, 3, 3)]
            positions = [heard(line, lambda one: one["type"] == "notice") for line in waiting]
            assert [one["code"] for one in positions] == ["waiting"] * 3 and positions[0]["position"] == 1
            assert counted(studio)["shotstream_viewers_waiting"] == 3
        for line in waiting:
            heard(line, lambda one: one["type"] == "welcome")
    until(lambda: counted(studio)["shotstream_seats_taken"] == 0)
    assert studio.ask("GET", "/readyz").json()["replicas"] == 2
    with pytest.raises(StudioError, match="no such film"):
        studio.film("0" * 12)


def test_a_line_belongs_to_the_film_it_has_opened(fleet, studio) -> None:
    """A missing film first, then a real one on the same line, and paths that lead back: the film stays with one."""
    film = studio.begin(CAPTION)
    homes = fleet.pool.placement.homes
    for _ in range(3):
        with line_to(fleet, "0" * 12) as line:
            assert heard(line, lambda one: one["type"] == "refused")["code"] == "no_such_film"
            line.send(json.dumps({"type": "shoot", "caption": "it walks"}))
            assert heard(line, lambda one: one["type"] == "refused")["code"] == "hello_first"
            line.send(json.dumps({"type": "hello", "version": 1, "film": film.id}))
            assert heard(line, lambda one: one["type"] == "welcome")["film"]["id"] == film.id
        with socket.create_connection(("127.0.0.1", fleet.port), timeout=60) as raw:
            way = f"GET /api/x/../films/{film.id} HTTP/1.1\r\nhost: 127.0.0.1:{fleet.port}\r\nconnection: close\r\n\r\n"
            raw.sendall(way.encode())
            assert raw.recv(12) == b"HTTP/1.1 400"
    for number in range(20):  # strangers' ids are not remembered: nobody looks for them when a replica dies
        with pytest.raises(StudioError, match="no such film"):
            studio.film(f"{number:012x}")
    assert set(homes) == {film.id}
    film.shoot(SHOTS[0], seconds=0.6)
    assert film.wait(PATIENCE).shots[0].chosen is not None


def test_who_leaves_the_queue_frees_the_place_and_leaves_no_traceback(fleet, studio, caplog) -> None:
    films = [studio.begin(CAPTION) for _ in range(3)]
    with ExitStack() as seated:
        for film in films[:2]:
            heard(seated.enter_context(line_to(fleet, film.id)), lambda one: one["type"] == "welcome")
        for chatty in (False, True):
            url = fleet.url.replace("http", "ws") + "ws"
            with suppress(ConnectionClosed), connect(url, proxy=None, close_timeout=0) as line:
                line.send(json.dumps({"type": "hello", "version": 1, "film": films[2].id}))
                heard(line, lambda one: one["type"] == "notice")
                for _ in range(3 * INBOX if chatty else 0):
                    line.send("{}")
            until(lambda: counted(studio)["shotstream_viewers_waiting"] == 0)
    assert "Traceback" not in caplog.text and not caplog.records


def test_a_replica_that_hangs_is_replaced_and_its_films_go_on(fleet, studio, undisturbed, monkeypatch) -> None:
    monkeypatch.setattr(replica_pool, "SILENT", 2.0)
    monkeypatch.setattr(replica_pool, "HEARTBEAT", 1.0)
    film = studio.begin(CAPTION, seed=SEED)
    for caption in SHOTS:
        film.shoot(caption, seconds=1.3)
    hung = fleet.holder(film.id)
    os.kill(fleet.pid_of(hung), signal.SIGSTOP)
    assert studio.ask("GET", "/readyz").status_code == 200
    assert "shotstream_replicas_ready" in studio.ask("GET", "/metrics").text
    until(lambda: not hung.alive(), PATIENCE)
    until(lambda: patiently(lambda: not film.view().queue and film.view().running is None), PATIENCE)
    until(lambda: fleet.ready(2), PATIENCE)
    fleet.stop()
    made_the_same(fleet, film.id, undisturbed)


def storm(fleet: Fleet, studio: StudioClient, kills: int, undisturbed: list[np.ndarray]) -> None:
    """Kill the replica of a random film at random moments until all films are made."""
    dice = random.Random(1)
    for _ in range(kills):
        film = studio.begin(CAPTION, seed=SEED)
        for caption in SHOTS:
            film.shoot(caption, seconds=1.3)
        wanted = dice.randrange(1, 4)
        until(lambda film=film, wanted=wanted: sum(s.chosen is not None for s in film.view().shots) >= wanted, PATIENCE)
        fleet.kill(film.id)
        until(lambda film=film: patiently(lambda: film.view().running is None and not film.view().queue), PATIENCE)
        until(lambda: fleet.ready(2), PATIENCE)
    ids = [film.id for film in studio.films()]
    assert len(ids) == kills
    fleet.stop()
    for id in ids:
        made_the_same(fleet, id, undisturbed)


@pytest.mark.soak
def test_twenty_replicas_killed(fleet, studio, undisturbed, capsys) -> None:
    storm(fleet, studio, 20, undisturbed)
    with capsys.disabled():
        print("\n20 replicas killed: 20 films of 3 shots, all the same to the bit as undisturbed")


def heard_at() -> set[str]:
    """The addresses at which this process and those it has started listen."""
    found = set()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            found |= {
                one.laddr.ip.removeprefix("::ffff:")
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_LISTEN
            }
    return found


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_ray_with_two_replicas(tiny_model, tmp_path, undisturbed, monkeypatch, capsys) -> None:
    if find_spec("ray") is None:
        pytest.skip("no ray here")
    from shotstream.film.ray_cluster import ray  # before anybody imports ray: it reads how it is secured
    from shotstream.serving.fleet.ray_replicas import ray_launcher

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    settings = settings_of(tiny_model, tmp_path / "films")
    launch = ray_launcher(settings, cpus=0.5, gpus=0)
    actor, process = 0, 1
    fleet = Fleet(tmp_path / "films", launch, lambda replica: ray.get(replica.holder.pids.remote())[process], seats=2)
    try:
        until(lambda: fleet.ready(2), PATIENCE)
        assert os.environ["RAY_AUTH_MODE"] == "token" and heard_at() and all(map(is_loopback, heard_at()))
        with StudioClient(fleet.url, timeout=PATIENCE) as studio:
            storm_once = studio.begin(CAPTION, seed=SEED)
            storm_once.shoot(SHOTS[0], seconds=1.3)
            storm_once.wait(PATIENCE)
            fleet.kill(storm_once.id)
            until(lambda: patiently(storm_once.view), PATIENCE)
            storm_once.shoot(SHOTS[1], seconds=1.3)
            until(lambda: fleet.ready(2), PATIENCE)
            os.kill(ray.get(fleet.holder(storm_once.id).holder.pids.remote())[actor], signal.SIGKILL)
            until(lambda: patiently(storm_once.view), PATIENCE)
            until(lambda: patiently(lambda: storm_once.shoot(SHOTS[2], seconds=1.3) is not None), PATIENCE)
            until(lambda: patiently(lambda: not storm_once.view().queue and not storm_once.view().running), PATIENCE)
        fleet.stop()
        made_the_same(fleet, storm_once.id, undisturbed)
    finally:
        fleet.stop()
        ray.shutdown()
    with capsys.disabled():
        print("\nRay: a replica and an actor killed; the film went on and is the same to the bit")
