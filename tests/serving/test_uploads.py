"""Films and stories that are sent in: checked beside the worker, within the limits of the studio and its budget."""

from __future__ import annotations

import io
import json
import time
import zipfile

import pytest
from starlette.testclient import TestClient
from studio_rig import PORT, Painter, client_of, until

from shotstream.core.errors import InputError
from shotstream.serving import studio
from shotstream.serving.app import make_app
from shotstream.serving.app_state import without_folders
from shotstream.serving.broadcaster import Broadcaster
from shotstream.serving.client_messages import Shoot
from shotstream.serving.library import Library
from shotstream.serving.protocol import MAX_QUEUE
from shotstream.serving.session import MAX_BLOCKS, RefusedError
from shotstream.serving.studio import Studio

BLANK = {"format": "shotstream film", "version": 2, "synthetic": True, "width": 64, "height": 32, "fps": 16}


def film_of(shots: list[dict]) -> bytes:
    """A film file of shots that are not made."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        record = BLANK | {"global_caption": "a fox", "seed": 7, "shots": shots}
        archive.writestr("film.json", json.dumps(record))
    return target.getvalue()


def planned(number: int, blocks: int = 1) -> dict:
    return {"caption": "it walks", "blocks": blocks, "takes": [{"id": number, "seed": number}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (film_of([planned(number) for number in range(MAX_QUEUE + 1)]), "51 of its takes are not made yet; at most 50"),
        (film_of([planned(0, MAX_BLOCKS + 1)]), "101 blocks; a studio makes at most 100"),
        (b"global_caption: a\nshots:\n" + b"- caption: it walks\n" * 10_000, "a story has at most 128 KiB"),
        (b"global_caption: a\nshots:\n" + b"- caption: it walks\n" * 60, "at most 50 shots"),
        (b"PK\x03\x04 nonsense", "not a film file"),
    ],
)
def test_what_is_refused_is_refused_while_the_worker_is_at_work(tmp_path, painter, body: bytes, said: str) -> None:
    with client_of(lambda: painter, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        painter.gate.clear()  # the block that is begun now is not done before this is over
        try:
            client.post(f"/api/films/{film}/shots", json={"caption": "it walks"})
            answer = client.post("/api/open", content=body)
        finally:
            painter.gate.set()
        assert answer.status_code in (422, 429) and said in answer.json()["text"]
        assert [one.name for one in (tmp_path / "films").iterdir()] == [film]


def test_a_film_within_the_limits_is_taken_and_made(client) -> None:
    opened = client.post("/api/open", content=film_of([planned(0), planned(1, 2)]))
    assert opened.status_code == 201
    way = f"/api/films/{opened.json()['id']}"
    until(lambda: all(one["chosen"] is not None for one in client.get(way).json()["shots"]))


def test_a_shot_does_not_grow_beyond_what_is_made_here(painter, tmp_path) -> None:
    clock = time.monotonic
    session = Studio(painter, Library(tmp_path), Broadcaster(clock), clock).create("a fox", 7)
    next(iter(session.film.shot("it walks", seconds=0.6)))
    session.extend(MAX_BLOCKS - 1)
    with pytest.raises(InputError, match="would have 101 blocks; a studio makes at most 100"):
        session.extend(1)


def test_films_too_many_are_refused_by_name(painter, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(studio, "MOST_OPEN", 3)
    monkeypatch.setattr(studio, "MOST_OF_CLIENT", 2)
    clock = time.monotonic
    made = Studio(painter, Library(tmp_path), Broadcaster(clock), clock)
    films = [made.create("a fox", number).id for number in range(4)]  # idle ones are closed again
    for film in films[:2]:
        made.command(film, Shoot(caption="it walks"), "10.0.0.1")
    with pytest.raises(RefusedError, match="2 of your films are being made"):
        made.command(films[2], Shoot(caption="it walks"), "10.0.0.1")
    made.command(films[2], Shoot(caption="it walks"), "10.0.0.2")
    with pytest.raises(RefusedError, match="3 films are watched or being made"):
        made.create("a fox", 5)
    assert len(list(tmp_path.iterdir())) == 4
    made.release()


def test_the_budget_holds_for_what_is_sent(tmp_path) -> None:
    app = make_app(Painter, tmp_path / "films", PORT, disk_budget=100_000)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        for body in (b"PK" + b"x" * 200_000, iter([b"PK" + b"x" * 60_000] * 4)):
            answer = client.post("/api/open", content=body)
            assert (answer.status_code, answer.json()["code"]) == (507, "storage")
        assert list((tmp_path / "films").iterdir()) == []


def test_a_folder_of_films_that_is_gone_is_said_and_not_where_it_was(client, tmp_path) -> None:
    (tmp_path / "films").rename(tmp_path / "elsewhere")
    answer = client.get("/api/films")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage")
    assert str(tmp_path) not in answer.text and "films: " in answer.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "/srv/films/0123456789ab/journal.jsonl: the disk is full; make room",
            "journal.jsonl: the disk is full; make room",
        ),
        ("C:\\films\\0123\\takes: no permission", "takes: no permission"),
        ("'/srv/films/x.film': damaged", "'x.film': damaged"),
        ("a fox and/or a bear, 1/2", "a fox and/or a bear, 1/2"),
    ],
)
def test_nobody_is_told_where_films_lie(text: str, told: str) -> None:
    assert without_folders(text) == told
