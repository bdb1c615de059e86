"""/v1/videos, asked by OpenAI's own client, and by hand where that client would not say such a thing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import openai
import pytest
from starlette.testclient import TestClient
from studio_rig import PORT, Painter, Server, client_of, until

import shotstream
from shotstream.media.video import read_info
from shotstream.serving.app import make_app
from shotstream.serving.client import StudioClient
from shotstream.serving.clients import FILMS
from shotstream.serving.security import Names
from shotstream.serving.studio import MOST_OF_CLIENT

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")  # OpenAI's own service has ended
SCRIPT = "global_caption: a fox\nshots:\n- {caption: it walks, seconds: 0.6}\n- {caption: it sits, seconds: 0.6}\n"
ONE = {"prompt": "it walks", "seconds": 0.6}
PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.fixture
def videos(server_of: Callable[..., Server], painter: Painter) -> Iterator[openai.resources.Videos]:
    server = server_of(lambda: painter)
    wait_for(server)
    with openai.OpenAI(base_url=f"{server.url}v1", api_key="none", max_retries=0) as client:
        yield client.videos


def wait_for(server: Server) -> None:
    with StudioClient(server.url) as studio:
        studio.ready()


def test_a_video_is_asked_for_made_listed_fetched_and_removed(videos, painter: Painter, tmp_path: Path) -> None:
    painter.gate.clear()
    waiting = videos.create(prompt=SCRIPT, model="painter", size="64x32", extra_body={"seed": "7"})
    assert waiting.status in ("queued", "in_progress") and waiting.progress == 0 and waiting.seconds == "1.125"
    with pytest.raises(openai.UnprocessableEntityError, match="ask again when it is completed"):
        videos.download_content(waiting.id)
    painter.gate.set()
    done = videos.poll(waiting.id, poll_interval_ms=20)
    assert (done.status, done.progress, done.size, done.model) == ("completed", 100, "64x32", "painter")
    assert done.prompt == SCRIPT and done.error is None and done.completed_at >= done.created_at
    videos.download_content(done.id).write_to_file(tmp_path / "fox.mp4")
    info = read_info(tmp_path / "fox.mp4")
    assert (info.frames, [one.title for one in info.chapters]) == (18, ["it walks", "it sits"])
    assert videos.download_content(done.id, variant="thumbnail").content.startswith(b"\xff\xd8")
    one = videos.create_and_poll(prompt="it walks", seconds="1", poll_interval_ms=20)
    assert one.status == "completed" and one.seconds == "1.3125"  # the nearest length a shot can have
    assert [video.id for video in videos.list()] == [one.id, done.id]
    assert [video.id for video in videos.list(order="asc", limit=1)] == [done.id, one.id]  # page after page
    assert videos.delete(done.id).deleted and [video.id for video in videos.list()] == [one.id]
    with pytest.raises(openai.NotFoundError, match="there is no such video"):
        videos.retrieve(done.id)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": " "}, "prompt.*blank"),
        ({"prompt": "it walks", "seconds": "61"}, "seconds: .*60"),
        ({"prompt": "it walks", "seconds": "soon"}, "seconds: "),
        ({"prompt": "it walks", "model": "sora-2"}, "model: this studio runs painter"),
        ({"prompt": "it walks", "size": "1280x720"}, "size: painter makes 64x32"),
        ({"prompt": "it walks", "extra_body": {"lenght": 3}}, "unknown setting lenght"),
        ({"prompt": "it walks", "input_reference": b"a picture"}, "unknown setting input_reference"),
        ({"prompt": SCRIPT, "seconds": "4"}, "a script says how long"),
        ({"prompt": "global_caption: a fox\nshot: 3\n"}, "prompt, line 2: unknown key 'shot'"),
        ({"prompt": "global_caption: a fox\nshots: [{caption: x, endless: true}]\n"}, "prompt: shots.0. is endless"),
        ({"prompt": "global_caption: a fox\nshots: [{caption: x, clip: /etc/passwd}]\n"}, "the story names"),
        ({"prompt": "global_caption: a fox\nshots:\n" + "- {caption: it sits}\n" * 51}, "at most 50 shots"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(videos, asked: dict[str, object], said: str) -> None:
    with pytest.raises(openai.APIStatusError) as fault:
        videos.create(**asked)
    assert fault.value.status_code in (400, 422, 429)
    told = fault.value.body["message"]
    assert re.search(said, told) and "\n" not in told and list(videos.list()) == []


def test_forms_and_json_are_read_and_nothing_else(client: TestClient) -> None:
    for sent in ({"json": ONE}, {"data": ONE}, {"files": {name: (None, str(one)) for name, one in ONE.items()}}):
        assert client.post("/v1/videos", **sent).json()["prompt"] == "it walks"
    assert len(client.get("/v1/videos").json()["data"]) == 3
    for content in (b"", b"[" * 60_000, b'{"prompt": 3}', b"\xff", b"[]"):
        answer = client.post("/v1/videos", content=content)
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "malformed"
    broken = client.post("/v1/videos", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 400 and broken.json()["error"]["message"]
    assert client.post("/v1/videos", json={"prompt": "x" * 70_000}).json()["error"]["code"] == "too_large"
    assert client.get("/v1/videos", params={"after": "video_000000000000"}).status_code == 422
    for path in ("/v1/videos/video_1", "/v1/videos/video_000000000000", "/v1/films"):
        assert "message" in client.get(path).json()["error"], path


def test_a_video_that_fails_says_why_and_others_are_films_alone(client: TestClient, film: str, painter) -> None:
    assert client.get(f"/v1/videos/video_{film}").status_code == 404
    assert client.delete(f"/v1/videos/video_{film}").status_code == 404
    painter.fail = 2
    id = client.post("/v1/videos", json=ONE).json()["id"]
    until(lambda: client.get(f"/v1/videos/{id}").json()["status"] == "failed")
    assert client.get(f"/v1/videos/{id}").json()["error"]["code"] == "take_failed"
    resumed = client.post(f"/api/films/{id.removeprefix('video_')}/commands", json={"type": "resume"})
    assert resumed.status_code == 202
    until(lambda: client.get(f"/v1/videos/{id}").json()["status"] == "completed")


def test_a_restart_loses_nothing(painter: Painter, tmp_path: Path) -> None:
    painter.gate.clear()
    with client_of(lambda: painter, tmp_path / "films") as first:
        done = first.post("/v1/videos", json=ONE).json()
        painter.gate.set()
        until(lambda: first.get(f"/v1/videos/{done['id']}").json()["status"] == "completed")
        painter.block_seconds = 0.3
        id = first.post("/v1/videos", json={"prompt": SCRIPT}).json()["id"]
    painter.block_seconds = 0
    (tmp_path / "films" / "0123456789ab").mkdir()
    (tmp_path / "films" / "0123456789ab" / "video.json").write_text("{")  # of no film
    with client_of(lambda: painter, tmp_path / "films") as second:
        assert [one["id"] for one in second.get("/v1/videos").json()["data"]] == [id, done["id"]]
        until(lambda: second.get(f"/v1/videos/{id}").json()["status"] == "completed")
        again = second.get(f"/v1/videos/{done['id']}").json()
        assert (again["created_at"], again["prompt"]) == (done["created_at"], "it walks")


def test_token_and_limits_hold_here_too(painter: Painter, tmp_path: Path) -> None:
    app = make_app(lambda: painter, tmp_path / "films", PORT, token="a-token-nobody-knows", names=Names())
    with TestClient(app, base_url=f"http://studio.example:{PORT}") as client:
        assert client.post("/v1/videos", json=ONE).json()["error"]["code"] == "no_token"
        client.headers["authorization"] = "Bearer a-token-nobody-knows"
        until(lambda: client.get("/readyz").status_code == 200)
        codes = [client.post("/v1/videos", json={"prompt": " "}).status_code for _ in range(int(FILMS[1]) + 1)]
        assert codes == [422] * int(FILMS[1]) + [429]
    painter.block_seconds = 0.02
    with client_of(lambda: painter, tmp_path / "more") as client:
        long = {"prompt": "it walks", "seconds": 60}
        answers = [client.post("/v1/videos", json=long) for _ in range(MOST_OF_CLIENT + 1)]
        assert [one.status_code for one in answers] == [200] * MOST_OF_CLIENT + [429]
        assert "of your films are being made" in answers[-1].json()["error"]["message"]
        for one in answers[:-1]:
            assert client.delete(f"/v1/videos/{one.json()['id']}").json()["deleted"]
        assert client.post("/v1/videos", json=ONE).status_code == 200


def test_the_example_of_the_page(server_of, tiny_model: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = server_of(lambda: shotstream.load(tiny_model, device="cpu"))
    wait_for(server)
    (code,) = re.findall(r"```python\n(from openai import.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code.replace("http://127.0.0.1:7860/", server.url), str(PAGE), "exec"), {"__name__": "page"})
    assert read_info(tmp_path / "fox.mp4").frames == 21 + 21


def test_the_schema_is_what_is_answered(client: TestClient) -> None:
    spec = client.get("/api/openapi.json").json()
    video = {"$ref": "#/components/schemas/Video", "components": spec["components"]}
    answer = client.post("/v1/videos", json=ONE).json()
    jsonschema.validate(json.loads(json.dumps(answer)), video)
