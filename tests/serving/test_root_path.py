"""A studio behind another port, another name, and under a path of another site."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from shotstream.cli.main import main
from shotstream.core.errors import InputError
from shotstream.serving.security import Names
from shotstream.serving.server import under_path


async def _said(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


async def _heard(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.url.path)


APP = Starlette(routes=[Route("/api/model", _said), Route("/", _said), WebSocketRoute("/ws", _heard)])


@pytest.mark.parametrize("kept", ["", "/studio"])
def test_the_path_is_taken_off_whether_or_not_the_proxy_does(kept: str) -> None:
    person = TestClient(under_path(APP, "/studio/"))
    assert person.get(f"{kept}/api/model").text == "/api/model"
    assert person.get(f"{kept}/").text == "/"
    with person.websocket_connect(f"{kept}/ws") as socket:
        assert socket.receive_text() == "/ws"


def test_the_path_without_its_slash_leads_to_the_page() -> None:
    answer = TestClient(under_path(APP, "/a/b")).get("/a/b", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/a/b/")
    assert TestClient(under_path(APP, "/a/b")).get("/a/bc").status_code == 404


@pytest.mark.parametrize("path", ["studio", "//evil.example", "/a?b", "/a b", "/../x"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="--root-path"):
        under_path(APP, path)
    assert under_path(APP, "/") is APP


def test_the_page_asks_beside_itself() -> None:
    """Absolute paths would leave the path it is served under."""
    web = files("shotstream.serving") / "web"
    for file in web.iterdir():
        if file.name.endswith((".js", ".html", ".css")):
            text = file.read_text(encoding="utf-8")
            assert not re.findall(r"""(?:fetch|call|src=|href=|action=|url)\(?\s*["'`]/(?!/)""", text), file.name
            assert "location.host}" not in text, file.name


def refused(names: Names, host: str) -> bool:
    return names.refusal(Headers({"host": host, "origin": f"http://{host}"})) is not None


def test_a_name_with_a_port_is_that_name_alone() -> None:
    names = Names.of_loopback(7899) | Names.of(("localhost:9000", "studio.example"), 7899)
    for host in ("127.0.0.1:7899", "localhost:9000", "studio.example", "studio.example:7899"):
        assert not refused(names, host)
    for host in ("localhost:9001", "evil.example:9000", "evil.example", "localhost"):
        assert refused(names, host)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--allow-host", "studio.example"), "--allow-host studio.example: a studio that others reach"),
        (("--allow-host", "http://localhost:9000/"), "give NAME or NAME:PORT"),
        (("--allow-host", "localhost:99999"), "give NAME or NAME:PORT"),
        (("--host", "203.0.113.9"), "--host 203.0.113.9: is no address of this machine"),
        (("--writer", "qwen3"), "--endpoint and --writer belong together"),
        (("--endpoint", "localhost/v1", "--writer", "qwen3"), "the endpoint localhost/v1: give an address such as"),
        (("--endpoint", "http://localhost/v1", "--writer", " "), "the writer: give the chat model's name"),
        (("--root-path", "studio"), "--root-path studio: give a path such as /studio"),
    ],
)
def test_options_of_no_use_are_one_line(
    capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert main(["studio", "--no-open", *arguments]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1
