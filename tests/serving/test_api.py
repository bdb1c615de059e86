"""The studio over HTTP: films made, fetched and opened by a script; what strangers are told."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import pytest
from studio_rig import client_of, until

from shotstream.film.disk import store
from shotstream.media.video import read_info
from shotstream.serving import routes
from shotstream.serving.clients import REQUESTS, Bucket
from shotstream.serving.frames import unpack
from shotstream.serving.security import CSP

HOLD = """import filelock, sys
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def finished(client, film: str, shots: int) -> dict:
    """The film, once so many shots are made."""
    seen: dict = {}

    def made() -> bool:
        seen.update(client.get(f"/api/films/{film}").json())
        return sum(shot["chosen"] is not None for shot in seen["shots"]) >= shots and seen["running"] is None

    until(made)
    return seen


def shoot(client, film: str, caption: str, **fields: object) -> int:
    answer = client.post(f"/api/films/{film}/shots", json={"caption": caption, **fields})
    assert answer.status_code == 202, answer.text
    return answer.json()["take"]


def test_a_film_is_made_listed_and_fetched(client, film, tmp_path) -> None:
    takes = [shoot(client, film, caption, seconds=0.6) for caption in ("it walks", "it sits")]
    view = finished(client, film, 2)
    assert [shot["chosen"] for shot in view["shots"]] == takes
    assert view["shots"][1]["takes"][0]["saw"]
    assert [one["id"] for one in client.get("/api/films").json()] == [film]
    pictures = unpack(client.get(f"/api/films/{film}/takes/{takes[1]}/frames").content)
    assert [(one.take, one.shot, one.frame) for one in pictures] == [(takes[1], 1, frame) for frame in range(9)]
    assert client.get(f"/api/films/{film}/takes/{takes[0]}/frames/3").content.startswith(b"\xff\xd8")
    (tmp_path / "film.mp4").write_bytes(client.get(f"/api/films/{film}/film.mp4").content)
    info = read_info(tmp_path / "film.mp4")
    assert (info.frames, [chapter.title for chapter in info.chapters]) == (18, ["it walks", "it sits"])


def test_all_frames_of_a_take_are_decoded_and_sent_one_by_one(client, film, monkeypatch) -> None:
    take = shoot(client, film, "it walks", seconds=0.6)
    finished(client, film, 1)
    did: list[str] = []
    for place, name in ((store, "_pixels"), (routes, "pack")):
        kept = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *given, kept=kept, name=name: did.append(name) or kept(*given))
    assert len(unpack(client.get(f"/api/films/{film}/takes/{take}/frames").content)) == 9
    assert did == ["_pixels", "pack"] * 9


def test_the_librarys_picture_of_a_film_is_a_frame_that_is_in_it(client, film) -> None:
    take = shoot(client, film, "it walks", seconds=0.6)
    finished(client, film, 1)
    for start, stop, middle in ((0, 9, 4), (6, 9, 7)):
        trim = {"type": "trim", "take": take, "start": start, "stop": stop}
        assert client.post(f"/api/films/{film}/commands", json=trim).is_success
        shown = client.get(f"/api/films/{film}/takes/{take}/frames/{middle}").content
        assert client.get(f"/api/films/{film}/picture").content == shown


def test_a_film_file_goes_out_and_comes_back(client, film) -> None:
    shoot(client, film, "it walks")
    finished(client, film, 1)
    data = client.get(f"/api/films/{film}/film.film").content
    assert "film.json" in zipfile.ZipFile(io.BytesIO(data)).namelist()
    again = client.post("/api/open", content=data).json()
    assert again["id"] != film and again["shots"] == client.get(f"/api/films/{film}").json()["shots"]


def test_a_film_that_another_program_has_open_is_busy_until_it_is_closed_there(painter, tmp_path) -> None:
    films = tmp_path / "films"
    with client_of(lambda: painter, films) as first:
        film = first.post("/api/films", json={"global_caption": "a fox", "seed": 7}).json()["id"]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(films / film / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder, client_of(lambda: painter, films) as second:
        assert holder.stdin is not None and holder.stdout is not None and holder.stdout.readline() == b"held\n"
        answer = second.post(f"/api/films/{film}/shots", json={"caption": "it walks"})
        assert (answer.status_code, answer.json()["code"]) == (429, "busy")
        holder.stdin.close()
        holder.wait(60)
        shoot(second, film, "it walks")


def test_a_story_is_opened_and_made(client) -> None:
    story = "global_caption: a fox\nseed: 3\nshots:\n- {caption: it walks, seconds: 0.6}\n- caption: it sits\n"
    opened = client.post("/api/open", content=story.encode())
    assert opened.status_code == 201
    assert finished(client, opened.json()["id"], 2)["seed"] == 3


def test_an_endless_shot_of_a_story_is_played_until_it_is_cut(client, painter) -> None:
    painter.block_seconds = 0.02
    story = "global_caption: a fox\nshots:\n- {caption: it walks, seconds: 0.6}\n- {caption: it sits, endless: true}\n"
    film = client.post("/api/open", content=story.encode()).json()["id"]
    read = lambda: client.get(f"/api/films/{film}").json()["shots"][1]  # noqa: E731
    until(lambda: read()["takes"][0]["frames"] > 40)
    assert read()["endless"] and client.post(f"/api/films/{film}/commands", json={"type": "cut"}).is_success
    assert finished(client, film, 2)["shots"][1]["takes"][0]["state"] == "cut"
    script = client.post("/api/script", json={"text": story}).json()
    assert script["told"] == ["Its last shot is endless: choose *until cut* as the length of that one."]


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 nonsense", b"\xff\xfe\x00", b"shots: 3", b"a: [", b"x" * 600_000])
def test_what_is_no_film_is_refused_in_one_line_and_leaves_nothing(client, body) -> None:
    answer = client.post("/api/open", content=body)
    assert answer.status_code == 422
    assert "\n" not in answer.json()["text"] and "/" not in answer.json()["text"]
    assert client.get("/api/films").json() == []


def test_commands_have_named_refusals(client, film) -> None:
    def told(path: str, **body: object) -> tuple[int, str]:
        answer = client.post(f"/api/films/{path}", json=body)
        return answer.status_code, answer.json()["code"]

    assert told(f"{film}/commands", type="cut") == (409, "nothing_running")
    assert told(f"{film}/commands", type="retake", shot=4) == (422, "refused")
    assert told(f"{film}/commands", type="choose", shot=0, take=9) == (422, "refused")
    assert told(f"{film}/commands", type="position", take=0, frame=0) == (422, "refused")
    assert told(f"{film}/commands", type="dance") == (422, "malformed")
    assert told(f"{film}/shots", caption="x" * 3000) == (422, "malformed")
    assert told(f"{film}/shots", caption=" ") == (422, "refused")
    assert told("0123456789ab/shots", caption="x") == (404, "no_such_film")
    assert told("..%2f..%2fetc/shots", caption="x") == (400, "malformed")
    assert client.get(f"/api/films/{film}/film.mp4").json()["code"] == "refused"
    assert client.get(f"/api/films/{film}").json()["shots"] == []


def test_the_queue_is_bounded(client, film, painter) -> None:
    painter.gate.clear()
    assert client.post(f"/api/films/{film}/commands", json={"type": "stop"}).status_code == 202
    story = "global_caption: a fox\nshots:\n" + "- {caption: it walks, seconds: 0.4}\n" * 51
    assert client.post("/api/open", content=story.encode()).json()["code"] == "queue_full"
    painter.gate.set()


def test_takes_are_compared_and_room_is_made(client, film, tmp_path) -> None:
    shoot(client, film, "it walks", seconds=0.6)
    finished(client, film, 1)
    assert client.post(f"/api/films/{film}/commands", json={"type": "retake", "shot": 0}).status_code == 202
    until(lambda: len([one for one in finished(client, film, 1)["shots"][0]["takes"] if one["frames"]]) == 2)
    (tmp_path / "both.mp4").write_bytes(client.get(f"/api/films/{film}/shots/0/compare.mp4").content)
    info = read_info(tmp_path / "both.mp4")
    assert (info.width, info.height, info.frames) == (128, 32, 9)
    assert client.get(f"/api/films/{film}/shots/7/compare.mp4").status_code == 422
    assert client.post(f"/api/films/{film}/clean", json={"unchosen": True}).json()["bytes"] > 0
    view = client.get(f"/api/films/{film}").json()
    assert (len(view["shots"][0]["takes"]), view["undo"]) == (1, None)


def test_a_disk_budget_holds_the_films_back(painter, tmp_path) -> None:
    from starlette.testclient import TestClient
    from studio_rig import PORT

    from shotstream.serving.app import make_app

    app = make_app(lambda: painter, tmp_path / "films", PORT, disk_budget=2500)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        for _ in range(20):
            answer = client.post(f"/api/films/{film}/shots", json={"caption": "it walks", "seconds": 0.6})
            if answer.status_code != 202:
                break
            until(
                lambda: (now := client.get(f"/api/films/{film}").json())["paused"] or not now["queue"]
            )  # full: it waits
        assert (answer.status_code, answer.json()["code"]) == (507, "storage")
        assert "clean up with `shotstream films clean`" in answer.json()["text"]
        assert client.post("/api/films", json={"global_caption": "a fox"}).status_code == 507


def test_words_are_checked(client) -> None:
    answer = client.post(
        "/api/check", json={"text": "a fox walkz, it sings", "previous": "A fox walkz. It sings!"}
    ).json()
    assert [(word["start"], word["stop"], word["instead"]) for word in answer["unknown"]] == [
        (6, 11, ["walks"]),
        (16, 21, []),
    ]
    assert "cut may not read" in answer["hint"]
    assert client.post("/api/check", json={"text": "a fox", "previous": "it sits in the forest"}).json()["hint"] == ""


def test_a_draft_is_read_ahead(client, film, painter) -> None:
    ahead = f"/api/films/{film}/ahead"
    assert client.post(ahead, json={"caption": " "}).status_code == 422
    assert client.post(ahead, json={"caption": "it walks"}).status_code == 204
    assert painter.read == ["a fox it walks"]
    assert client.post("/api/films/000000000000/ahead", json={"caption": "it walks"}).status_code == 404


def test_openapi_and_protocol_are_published(client) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"/api/films", "/api/films/{id}/shots", "/api/films/{id}/stream", "/api/films/{id}/film.mp4"} <= set(paths)
    assert client.get("/api/protocol").json()["version"] == 1
    assert client.get("/healthz").json()["ok"] is True


@pytest.mark.parametrize("path", ["/", "/api/films", "/healthz", "/main.js"])
def test_a_foreign_host_or_origin_is_refused_everywhere(client, path) -> None:
    for headers in (
        {"host": "evil.example"},
        {"host": "127.0.0.1:1"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert client.get(path, headers=headers).status_code in (403, 421), headers
    good = client.get(path, headers={"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"})
    assert good.status_code == 200
    assert good.headers["content-security-policy"] == CSP
    assert good.headers["x-content-type-options"] == "nosniff"


def test_sizes_are_limited_whatever_was_announced(client, film) -> None:
    big = b'{"caption": "' + b"x" * 100_000 + b'"}'
    assert client.post(f"/api/films/{film}/shots", content=big).status_code == 413

    def pieces():
        yield from (big[at : at + 1000] for at in range(0, len(big), 1000))

    streamed = client.post(f"/api/films/{film}/shots", content=pieces())
    assert streamed.status_code >= 400
    assert client.get(f"/api/films/{film}").json()["shots"] == []


def test_a_flood_of_requests_is_slowed_and_let_in_again() -> None:
    rate, burst = REQUESTS
    bucket = Bucket(rate, burst)
    assert sum(bucket.take(5.0) for _ in range(2 * int(burst))) == burst
    assert sum(bucket.take(6.0) for _ in range(2 * int(burst))) == rate
