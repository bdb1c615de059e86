"""Clips and pictures sent to the studio: over HTTP, by the client, and in a story's files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from studio_rig import Painter, client_of, until

from shotstream.core.errors import InputError
from shotstream.serving.client import StudioClient, StudioError

FOX = "the fox: a red fox"


def clip_of(path: Path, shots: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 16, (64, 32))
    for frame in range(20 * shots):
        writer.write(np.full((32, 64, 3), 40 + 90 * (frame // 20), np.uint8))
    writer.release()
    return path


def picture(size: tuple[int, int] = (64, 32)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, (250, 20, 20)).save(target, "png")
    return target.getvalue()


@pytest.fixture
def film(client: TestClient) -> str:
    return f"/api/films/{client.post('/api/films', json={'global_caption': 'a fox', 'seed': 7}).json()['id']}"


def test_a_clip_and_a_picture_become_shots_of_a_film(client: TestClient, film: str, tmp_path: Path) -> None:
    data = clip_of(tmp_path / "clip.mp4", 2).read_bytes()
    told = {"caption": ["it sits", "it walks"], "name": "mine.mp4"}
    placed = client.post(f"{film}/clips", params=told, content=data)
    assert placed.status_code == 201 and placed.json() == {"takes": [0, 1]}
    assert client.post(
        f"{film}/clips", params={"caption": "it sits", "at": 1, "seconds": 0.6}, content=picture()
    ).json()
    state = client.get(film).json()
    assert [shot["caption"] for shot in state["shots"]] == ["it sits", "it sits", "it walks"]
    assert [shot["takes"][0]["source"] for shot in state["shots"]] == ["mine.mp4", "the file", "mine.mp4"]
    assert [shot["takes"][0]["frames"] for shot in state["shots"]] == [20, 9, 20] and state["undo"] == "place"
    client.post(f"{film}/shots", json={"caption": "it walks"})
    until(lambda: client.get(film).json()["shots"][3]["chosen"] is not None)
    assert {seen["take"] for seen in client.get(film).json()["shots"][3]["takes"][0]["saw"]} == {0, 1, 2}
    exported = client.get(f"{film}/exports/mp4")
    assert exported.status_code == 200


def test_a_picture_is_pinned_seen_and_let_go(client: TestClient, film: str) -> None:
    pinned = client.post(f"{film}/references", params={"caption": FOX}, content=picture()).json()["picture"]
    assert client.get(film).json()["references"] == [{"id": pinned, "name": "the fox", "caption": FOX}]
    still = Image.open(io.BytesIO(client.get(f"{film}/takes/{pinned}/frames/0").content))
    assert np.asarray(still.convert("RGB"))[16, 32, 0] > 230
    client.post(f"{film}/shots", json={"caption": "it walks"})
    until(lambda: client.get(film).json()["shots"][0]["chosen"] is not None)
    assert client.get(film).json()["shots"][0]["takes"][0]["saw"] == [{"take": pinned, "frame": 0}]
    assert client.post(f"{film}/commands", json={"type": "unpin", "picture": pinned}).status_code == 202
    state = client.get(film).json()
    assert state["references"] == [] and state["shots"][0]["stale"] and state["undo"] == "unpin"


@pytest.mark.parametrize(
    ("way", "params", "content", "status", "said"),
    [
        ("clips", {"caption": "a"}, b"nonsense", 422, "the file: cannot be read as a video"),
        ("clips", {"caption": "a", "name": "my.png"}, picture()[:60], 422, "my.png: damaged picture"),
        ("clips", {"caption": "a", "at": 3}, picture(), 422, "a shot can be put in at 0 to 0, not at 3"),
        ("clips", {"caption": "a", "name": "../\n/x"}, b"nonsense", 422, "..___x: cannot be read"),
        ("clips", {}, picture(), 422, "query.caption"),
        ("clips", {"caption": "a", "start": "nan"}, picture(), 422, "query.start"),
        ("references", {"caption": "a red fox"}, picture(), 422, "names nothing; write a name, a colon"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_and_leaves_nothing(
    client: TestClient, film: str, way: str, params: dict[str, object], content: bytes, status: int, said: str
) -> None:
    answer = client.post(f"{film}/{way}", params=params, content=content)
    assert answer.status_code == status and said in answer.json()["text"] and "/" not in answer.json()["text"]
    state = client.get(film).json()
    assert (state["shots"], state["references"], state["undo"]) == ([], [], None)


def test_a_file_is_read_while_the_worker_is_at_work(tmp_path: Path) -> None:
    painter = Painter()
    with client_of(lambda: painter, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        painter.gate.clear()
        try:
            client.post(f"/api/films/{film}/shots", json={"caption": "it walks"})
            answer = client.post(f"/api/films/{film}/clips", params={"caption": "a"}, content=b"nonsense")
        finally:
            painter.gate.set()
        assert "cannot be read as a video" in answer.json()["text"]
        assert [one.name for one in (tmp_path / "films").iterdir()] == [film]


def test_a_studio_reads_no_file_that_a_story_names(client: TestClient, tmp_path: Path) -> None:
    secret = clip_of(tmp_path / "secret.mp4", 1)
    story = {"global_caption": "a fox", "shots": [{"caption": "it walks", "clip": str(secret)}]}
    answer = client.post("/api/open", content=json.dumps(story))
    assert answer.status_code == 422 and "send its shots and its files one by one" in answer.json()["text"]
    told = client.post("/api/script", json={"text": json.dumps(story)}).json()["told"]
    assert told == ["Its clips and pictures are left out: put the files in by themselves."]


def test_the_client_sends_files_and_stories_with_files(server_of, tmp_path: Path) -> None:
    clip_of(tmp_path / "mine.mp4", 2)
    (tmp_path / "fox.png").write_bytes(picture())
    story = tmp_path / "story.yaml"
    story.write_text(
        f"global_caption: a fox\nreferences: [{{caption: '{FOX}', picture: fox.png}}]\n"
        "shots: [{caption: it sits, clip: {file: mine.mp4, start: 0.5}}, {caption: it walks, seconds: 0.6}]\n"
    )
    with StudioClient(server_of(Painter).url) as studio:
        studio.ready()
        view = studio.open(story).wait()
        assert [shot.takes[0].source for shot in view.shots] == ["mine.mp4", ""]
        assert view.shots[0].takes[0].frames == 32
        assert view.references[0].id in {seen.take for seen in view.shots[1].takes[0].saw}
        film = studio.begin("a fox")
        assert len(film.place(tmp_path / "mine.mp4", "it sits")) == 2
        picture_id = film.pin(tmp_path / "fox.png", FOX)
        with pytest.raises(StudioError, match="'the fox' is pinned already"):
            film.pin(tmp_path / "fox.png", FOX)
        film.unpin(picture_id)
        assert film.view().references == ()
        with pytest.raises(InputError, match=r"none\.mp4: cannot be read"):
            film.place(tmp_path / "none.mp4", "it sits")
