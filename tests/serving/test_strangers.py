"""A real studio on every address of this machine, as a process: what strangers get, and what is logged."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from studio_process import StudioProcess
from studio_rig import until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from shotstream.serving.alive import answers
from shotstream.serving.client import StudioClient, StudioError

TOKEN = "open-sesame-open-sesame"


def own_address() -> str:
    """An address of this machine that is not loopback, if it has one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path, "--model", str(tiny_model), "--device", "cpu", host="0.0.0.0", token=TOKEN)
    yield process
    process.end()


def test_strangers_stay_outside(studio: StudioProcess) -> None:
    url = f"http://{own_address()}:{studio.port}"
    with StudioClient(url, token=TOKEN) as friend:
        until(lambda: ready(friend), seconds=120)
        friend.ready()
        film = friend.begin("a red fox in the forest")
        film.shoot("it walks", seconds=0.6)
        assert film.wait(120).shots[0].chosen is not None
        inside(url, film.id)
        outside(url)
        assert answers(studio.port)
        with pytest.raises(StudioError, match="too many wrong tokens"):
            friend.films()
    assert studio.end() in (0, 143)
    assert not answers(studio.port)
    log = studio.log()
    assert TOKEN not in log and "guess" not in log and "token:" not in log and "warning: without --tls" in log


def outside(url: str) -> None:
    """Without the token, and with wrong ones."""
    with httpx.Client(base_url=url) as stranger:
        for path in ("/", "/api/films", "/api/openapi.json", "/healthz", "/readyz", "/metrics", "/main.js"):
            assert stranger.get(path).status_code == 401
        assert stranger.get(f"/api/films?token={TOKEN}").status_code == 401
        for number in range(5):  # who claims to be a proxy is believed on this machine alone
            other = {} if "127.0.0.1" in url else {"x-forwarded-for": f"10.0.0.{number}"}
            guess = {"authorization": "Bearer guess", **other}
            assert stranger.get("/api/films", headers=guess).status_code == 401
            assert stranger.post("/login", data={"token": "guess"}, headers=other).status_code == 401
    for headers in ({}, {"Cookie": "shotstream=guess"}):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(f"{url.replace('http', 'ws')}/ws", additional_headers=headers),
        ):
            pass
        assert refused.value.response.status_code == 403


def inside(url: str, film: str) -> None:
    """Through the form, with the cookie."""
    ws = f"{url.replace('http', 'ws')}/ws"
    with httpx.Client(base_url=url) as person:
        assert person.post("/login", data={"token": TOKEN}).status_code == 303
        assert person.get("/").status_code == 200
        (cookie,) = person.cookies.jar
        assert cookie.has_nonstandard_attr("HttpOnly") and not cookie.secure and TOKEN not in str(cookie.value)
        ticket = {"Cookie": f"{cookie.name}={cookie.value}"}
    with connect(ws, additional_headers=ticket, origin=url, proxy=None) as line:
        line.send(f'{{"type": "hello", "version": 1, "film": "{film}"}}')
        assert '"welcome"' in str(line.recv(30))
    with pytest.raises(InvalidStatus), connect(ws, additional_headers=ticket, origin="http://evil.example", proxy=None):
        pass


def ready(friend: StudioClient) -> bool:
    try:
        friend.model()
    except StudioError:
        return False
    return True


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_a_token_is_made_and_tls_served(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {key} -out {certificate}"
    alone = ("-addext", "subjectAltName=DNS:localhost")
    subprocess.run([*made.split(), *alone], check=True, capture_output=True)
    options = (
        "--tls-certificate",
        str(certificate),
        "--tls-key",
        str(key),
        "--name",
        "localhost",
        "--model",
        "nothing",
    )
    process = StudioProcess(tmp_path, *options, host="0.0.0.0")
    try:
        until(lambda: "token:" in process.log(), seconds=120)
        (token,) = re.findall(r"^token: +(\S{43})  ", process.log(), re.MULTILINE)
        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=f"https://localhost:{process.port}", verify=trusted) as person:
            until(lambda: reached(person), seconds=60)
            assert person.get("/api/films").status_code == 401
            assert "; secure" in person.post("/login", data={"token": token}).headers["set-cookie"].lower()
            assert person.get("/api/films").status_code == 200
            assert person.get("/api/films", headers={"host": "evil.example"}).status_code == 421
        assert answers(process.port)  # over https, whatever the certificate says
    finally:
        process.end()
    assert process.log().count(token) == 1 and "warning: without" not in process.log()


def reached(person: httpx.Client) -> bool:
    try:
        return person.get("/login").status_code == 200
    except httpx.TransportError:
        return False
