"""vLLM-Omni's realtime video socket, spoken by a plain WebSocket client; the chunks read back as one file by PyAV."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from studio_rig import PORT, Painter, Server, until
from websockets.sync.client import ClientConnection, connect

from shotstream.serving.app import make_app
from shotstream.serving.client import StudioClient
from shotstream.serving.clients import FILMS
from shotstream.serving.security import REALTIME, Names

SCRIPT = "global_caption: a fox\nshots:\n- {caption: it walks, seconds: 1.3}\n- {caption: it sits, seconds: 0.6}\n"
PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.fixture
def server(server_of: Callable[..., Server], painter: Painter) -> Server:
    server = server_of(lambda: painter)
    with StudioClient(server.url) as studio:
        studio.ready()
    return server


@contextmanager
def session(server: Server, **start: object) -> Iterator[ClientConnection]:
    with connect(server.url.replace("http", "ws") + REALTIME[1:], proxy=None) as line:
        tell(line, type="session.start", **start)
        yield line


def tell(line: ClientConnection, **message: object) -> None:
    line.send(json.dumps(message))


def heard(line: ClientConnection, wanted: str) -> dict[str, Any]:
    """The next message of this type; media on the way is let go."""
    while True:
        message = line.recv(60)
        if isinstance(message, str) and (said := json.loads(message))["type"] == wanted:
            return said


def watched(line: ClientConnection) -> tuple[bytes, list[dict[str, Any]], dict[str, Any]]:
    """All media until the session is done, what was said of each piece, and the last message."""
    media, told = b"", []
    while True:
        said = json.loads(line.recv(60))
        if said["type"] == "video.chunk_metadata":
            piece = line.recv(60)
            assert isinstance(piece, bytes) and len(piece) == said["byte_length"] and said["kind"] == "media"
            media += piece
            told.append(said)
        elif said["type"] in ("session.done", "error"):
            return media, told, said


def decoded(media: bytes) -> tuple[np.ndarray, list[float]]:
    with av.open(io.BytesIO(media)) as container:
        frames = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in container.decode(video=0)]
    return np.stack([one for one, _ in frames]), [time for _, time in frames]


def test_a_film_of_two_shots_comes_in_chunks_that_are_one_file(server: Server) -> None:
    with session(server, prompt=SCRIPT, model="painter", format="m4s", seed=7, width=64, height=32, fps=16) as line:
        start = heard(line, "video.start")
        media, told, done = watched(line)
    config = start["config"]
    assert (config["num_frames"], config["width"], config["height"], config["fps"]) == (30, 64, 32, 16)
    assert done["stopped"] is False and done["chunks"] == len(told) == 3
    assert [one["num_frames"] for one in told] == [9, 12, 9]
    assert [one["transport_chunk_index"] for one in told] == [0, 1, 2]
    frames, times = decoded(media)
    assert np.allclose(times, np.arange(30) / 16, atol=1e-4)
    id = start["request_id"].removeprefix("video_")
    with StudioClient(server.url) as studio:
        view = studio.film(id).view()
        truth = np.concatenate([studio.film(id).frames(shot.chosen) for shot in view.shots])
        assert studio.ask("GET", f"/v1/videos/{start['request_id']}").json()["status"] == "completed"
    assert np.abs(frames.astype(int) - truth).mean() < 6  # colours through H.264 and JPEG


def test_another_prompt_takes_over_at_the_chunk_that_says_so(server: Server, painter: Painter) -> None:
    painter.block_seconds = 0.1
    with session(server, prompt="it walks", num_frames=81) as line:
        id = heard(line, "video.start")["request_id"]
        event = {"event_id": "sits", "event": {"prompt": "it sits"}, "transition_chunks": 1}
        tell(line, type="session.interaction", interaction=event)
        tell(line, type="session.interaction", interaction=event)
        assert heard(line, "session.interaction.queued")["event_id"] == "sits"
        assert heard(line, "error")["code"] == "event_id_conflict"
        tell(line, type="session.ping")
        assert heard(line, "session.pong")
        _, told, done = watched(line)
    assert done["type"] == "session.done"
    (shown,) = [one for one in told if one["started_event_ids"]]
    assert shown["started_event_ids"] == shown["completed_event_ids"] == ["sits"] and not shown["active_event_ids"]
    with StudioClient(server.url) as studio:
        (take,) = studio.film(id.removeprefix("video_")).view().shots[0].takes
    assert take.changes == ("it sits",) or take.caption == "it sits"


def test_stopping_keeps_what_there_is_and_leaving_ends_it(server: Server, painter: Painter) -> None:
    painter.block_seconds = 0.1
    with session(server, prompt="it walks", seconds=30) as line:
        heard(line, "video.chunk_metadata")
        assert isinstance(line.recv(60), bytes)
        tell(line, type="session.stop")
        _, told, done = watched(line)
        assert done["stopped"] is True and done["chunks"] == 1 + len(told) < 20
    with session(server, prompt="it walks", seconds=30) as line:
        id = heard(line, "video.start")["request_id"].removeprefix("video_")
        heard(line, "video.chunk_metadata")
    with StudioClient(server.url) as studio:
        until(lambda: studio.film(id).view().running is None)
        assert studio.film(id).view().paused


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"prompt": ""}, "session.start.prompt: "),
        ({"prompt": "it walks", "format": "webm"}, "session.start.format: .*m4s"),
        ({"prompt": "it walks", "width": 640}, "size: painter makes 64x32"),
        ({"prompt": "it walks", "fps": 24}, "fps: the model makes 16"),
        ({"prompt": "it walks", "num_frames": 1}, "num_frames: .*0.3"),
        ({"prompt": "it walks", "num_frames": 33, "seconds": 2}, "give one of them"),
        ({"prompt": "it walks", "model": "other"}, "model: this studio runs painter"),
        ({"prompt": "it walks", "image_reference": {}}, "session.start.image_reference: "),
        ({"prompt": "a: [\nb"}, "prompt"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(server: Server, start: dict[str, object], said: str) -> None:
    with session(server, **start) as line:
        told = heard(line, "error")["message"]
    assert re.search(said, told) and "\n" not in told
    with StudioClient(server.url) as studio:
        assert studio.films() == []


def test_messages_that_mean_nothing_change_nothing(server: Server, painter: Painter) -> None:
    with connect(server.url.replace("http", "ws") + REALTIME[1:], proxy=None) as line:
        tell(line, type="session.ping")
        assert "session.start first" in heard(line, "error")["message"]
    painter.block_seconds = 0.05
    blend = {"event": {"prompt": "it sits"}, "transition_chunks": 3}
    camera = {"event": {"prompt": "it sits", "multi_modal_data": {"camera": {}}}}
    with session(server, prompt="it walks", seconds=5) as line:
        heard(line, "video.start")
        for message in ("[" * 9_000, "x" * 17_000, b"\x00", json.dumps({"type": "session.dance"})):
            line.send(message)
            assert heard(line, "error")["code"] in ("malformed", "too_large")
        tell(line, type="session.interaction", interaction=blend)
        assert heard(line, "error")["code"] == "interaction_failed"
        tell(line, type="session.interaction", interaction=camera)
        assert "multi_modal_data" in heard(line, "error")["message"]
        tell(line, type="session.start", prompt="it sits")
        assert "open another one" in heard(line, "error")["message"]
        assert watched(line)[2]["stopped"] is False


def test_a_take_that_fails_ends_the_session(server: Server, painter: Painter) -> None:
    painter.fail = 2
    with session(server, prompt="it walks") as line:
        assert "failed again" in heard(line, "error")["message"]


def test_token_and_limits_hold_here_too(painter: Painter, tmp_path: Path) -> None:
    app = make_app(lambda: painter, tmp_path / "films", PORT, token="a-token-nobody-knows", names=Names())
    with TestClient(app, base_url=f"http://studio.example:{PORT}") as client:
        url = f"ws://studio.example:{PORT}{REALTIME}"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(url):
            pass
        bearer = {"authorization": "Bearer a-token-nobody-knows"}
        until(lambda: client.get("/readyz", headers=bearer).status_code == 200)
        for _ in range(int(FILMS[1])):
            with client.websocket_connect(url, headers=bearer) as line:
                line.send_json({"type": "session.start", "prompt": " "})
                assert line.receive_json()["type"] == "error"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(url, headers=bearer):
            pass


def test_the_example_of_the_page(server: Server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(import json\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("ws://127.0.0.1:7860/", server.url.replace("http", "ws"))
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    frames, _ = decoded((tmp_path / "fox.mp4").read_bytes())
    assert len(frames) == 81
