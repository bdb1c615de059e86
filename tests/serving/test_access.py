"""Who is let in: tokens, tickets, names, and how often anybody may try."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from studio_rig import PORT, Painter, Server, client_of, until

from shotstream.core.errors import InputError
from shotstream.serving.access import LASTS, MOST_LOGINS, Access, given_token, new_token
from shotstream.serving.app import make_app
from shotstream.serving.clients import AT_ONCE, FILMS, MOST_CLIENTS, WRONG, Clients
from shotstream.serving.security import Names, is_loopback

TOKEN = "a-token-nobody-knows"
COOKIE = f"shotstream_{PORT}"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[TestClient]:
    """A studio that asks for TOKEN, under any name."""
    app = make_app(Painter, tmp_path / "films", PORT, token=TOKEN, names=Names())
    with TestClient(app, base_url=f"http://studio.example:{PORT}", follow_redirects=False) as client:
        until(lambda: client.get("/readyz", headers=BEARER).status_code == 200)
        yield client


def test_every_path_is_closed_to_strangers(locked) -> None:
    paths = [route.replace("{", "").replace("}", "") for route in locked.app.app.openapi()["paths"]]
    assert len(paths) > 15
    for path in [*paths, "/", "/main.js", "/login.html/", "/api/openapi.json", "/nothing", "//login", "/login/x"]:
        for method in ("GET", "POST", "PUT", "HEAD", "OPTIONS"):
            answer = locked.request(method, path)
            assert answer.status_code == 401, (method, path, answer.status_code)
        assert locked.get(path).headers["www-authenticate"] == "Bearer"
    with pytest.raises(WebSocketDisconnect), locked.websocket_connect("/ws"):
        pass
    assert locked.get("/api/films", headers=BEARER).json() == []


def test_a_person_is_shown_the_way_in(locked) -> None:
    away = locked.get("/", headers={"accept": "text/html,*/*"})
    assert (away.status_code, away.headers["location"]) == (303, "login")
    page = locked.get("/login")
    assert page.status_code == 200 and "hidden>" in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert [locked.get(path).status_code for path in ("/login.css", "/icon.svg")] == [200, 200]
    wrong = locked.post("/login", data={"token": TOKEN[:-1]})
    assert wrong.status_code == 401 and "hidden>" not in wrong.text and "set-cookie" not in wrong.headers
    assert locked.post("/login", params={"token": TOKEN}).status_code == 401
    right = locked.post("/login", data={"token": TOKEN})
    assert (right.status_code, right.headers["location"]) == (303, "./")
    flags = {part.strip().lower() for part in right.headers["set-cookie"].split(";")[1:]}
    assert flags == {"httponly", "samesite=strict", "path=/", f"max-age={LASTS}"}
    assert TOKEN not in right.headers["set-cookie"]
    assert locked.get("/").status_code == 200
    with locked.websocket_connect(f"ws://studio.example:{PORT}/ws"):
        pass
    locked.cookies.clear()
    locked.cookies.set(COOKIE, "x" * 43)
    assert locked.get("/").status_code == 401


def test_the_cookie_travels_by_tls_alone_when_there_is_tls(locked) -> None:
    answer = locked.post(f"https://studio.example:{PORT}/login", data={"token": TOKEN})
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_a_page_of_another_site_is_refused_even_with_the_cookie(locked) -> None:
    locked.post("/login", data={"token": TOKEN})
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert locked.get("/api/films", headers=headers).status_code == 403
        assert locked.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403
        with pytest.raises(WebSocketDisconnect), locked.websocket_connect("/ws", headers=headers):
            pass
    own = {"origin": f"http://studio.example:{PORT}"}
    assert locked.get("/api/films", headers=own).status_code == 200


def test_guessing_ends_after_a_few_tries(locked) -> None:
    for _ in range(int(WRONG[1])):
        assert locked.get("/api/films", headers={"authorization": "Bearer guess"}).status_code == 401
    assert locked.get("/api/films", headers=BEARER).status_code == 429
    assert locked.post("/login", data={"token": TOKEN}).status_code == 429


def test_one_client_begins_so_many_films_and_no_more(locked) -> None:
    for _ in range(int(FILMS[1])):
        assert locked.post("/api/films", json={"global_caption": "a fox"}, headers=BEARER).status_code == 201
    for path in ("/api/films", "/api/open"):
        answer = locked.post(path, json={"global_caption": "a fox"}, headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")


def test_one_client_has_so_many_sockets_and_no_more() -> None:
    clients = Clients(lambda: 0.0)
    for share, most in AT_ONCE.items():
        assert all(clients.begin("10.0.0.1", share) for _ in range(most))
        assert not clients.begin("10.0.0.1", share) and clients.begin("10.0.0.2", share)
        clients.end("10.0.0.1", share)
        assert clients.begin("10.0.0.1", share)


def test_streams_count_as_live_sockets(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(AT_ONCE, "live", 0)
    with client_of(Painter, tmp_path / "films") as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        answer = client.get(f"/api/films/{film}/stream")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
            pass


ODD = ("/%2fapi/films", "//api/films", "/api/x/../films", "/api/./films", "/api%2ffilms", "/api/%2e%2e/api/films")
ODDER = ("/api\\films", "/api/films%00", "http://127.0.0.1/api/films", "*", "/api//films")


def test_a_path_is_read_in_one_way_or_not_at_all(tmp_path) -> None:
    """As it is sent, by a client that changes nothing about it."""
    with server_at(tmp_path / "films") as port:
        for path in (*ODD, *ODDER):
            said = told(port, f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")
            assert said.startswith("HTTP/1.1 400") and '"code": "malformed"' in said, path


def test_a_body_is_measured_in_one_way(tmp_path) -> None:
    with server_at(tmp_path / "films") as port:
        head = f"POST /api/films HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n"
        said = told(port, f"{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        assert said.startswith("HTTP/1.1 400") and "not both" in said


@contextmanager
def server_at(films: Path) -> Iterator[int]:
    server = Server(Painter, films)
    try:
        yield server.port
    finally:
        server.stop()


def told(port: int, request: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(request.encode())
        return b"".join(iter(lambda: line.recv(1 << 16), b"")).decode()


def test_a_crowd_of_addresses_neither_fills_the_memory_nor_frees_a_flooder() -> None:
    now = 0.0
    clients = Clients(lambda: now)
    assert clients.begin("10.0.0.1", "live")
    while clients.take("10.0.0.1", "wrong"):
        pass
    for index in range(3 * MOST_CLIENTS):
        clients.take(f"11.{index >> 16}.{index >> 8 & 255}.{index & 255}", "requests")
    assert len(clients._known) == MOST_CLIENTS
    assert clients.spent("10.0.0.1", "wrong")
    for index in range(20):
        clients.take(f"2001:db8::{index:x}", "wrong")
    assert clients.spent("2001:db8::ffff", "wrong") and not clients.spent("2001:db8:1::1", "wrong")
    now = 10.5
    assert not clients.spent("10.0.0.1", "wrong")


def test_tickets_end_and_are_bounded() -> None:
    now = 0.0
    access = Access(TOKEN, lambda: now)
    first = access.log_in()

    def entry(ticket: str) -> str:
        return access.entry(Headers({"cookie": f"other=1; {COOKIE}={ticket}"}), COOKIE)

    assert entry(first) == "yes" and entry(first[:-1]) == entry("") == "no"
    now = LASTS + 1.0
    assert entry(first) == "no"
    second = access.log_in()
    for _ in range(MOST_LOGINS):
        access.log_in()
    assert entry(second) == "no" and len(access._logins) == MOST_LOGINS


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_nothing_but_the_token_is_the_token(header: str) -> None:
    access = Access(TOKEN, lambda: 0.0)
    headers = Headers(raw=[(b"authorization", header.encode("latin-1")), (b"cookie", header.encode("latin-1"))])
    assert access.entry(headers, COOKIE) == "wrong"


def test_tokens_come_from_a_file_or_the_environment(tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert given_token(file, "ignored-ignored-ignored") == given_token(None, TOKEN) == TOKEN
    assert given_token(None, None) is None
    assert len(new_token()) == 43 and new_token() != new_token()
    for bad in ("", "short", "with a space in it, long", "ünïcödé-ünïcödé-ünïcödé"):
        file.write_text(bad)
        with pytest.raises(InputError, match="a token is 16 to 512"):
            given_token(file, None)
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            given_token(missing, None)


def test_names() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("::1")
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.com", "")))
    own, given_names = Names.of_loopback(PORT), Names.of(("Studio.example",), PORT)
    for names, host, good in (
        (own, f"127.0.0.1:{PORT}", True),
        (own, "evil.example", False),
        (given_names, f"studio.EXAMPLE:{PORT}", True),
        (given_names, "studio.example", True),
        (given_names, "evil.example", False),
        (Names(), "anything", True),
        (Names(), "", False),
    ):
        assert (names.refusal(Headers({"host": host})) is None) == good, host
    assert Names().refusal(Headers({"host": "a", "origin": "http://b"}))
    at = f":{PORT}"
    for host, origin, good in (
        (f"localhost{at}", f"http://localhost{at}", True),
        (f"localhost{at}", "http://localhost", False),  # another server of this machine, at port 80
        (f"localhost{at}", f"http://127.0.0.1{at}", False),
        (f"localhost{at}", "http://localhost:8080", False),
        (f"localhost{at}", "null", False),
        ("localhost", None, False),
        ("studio.example", "https://studio.example", True),  # behind a proxy
        ("studio.example:443", "https://studio.example", True),
        ("studio.example", f"https://studio.example{at}", False),
        (f"127.0.0.1{at}", "https://studio.example", True),  # a proxy that asks for us under our own name
        (f"127.0.0.1{at}", "http://studio.example", False),
        (f"studio.example{at}", "http://studio.example", False),
        ("studio.example", "ftp://studio.example", False),
    ):
        names = own | given_names | Names(frozenset({"studio.example:443"}))
        headers = {"host": host} | ({} if origin is None else {"origin": origin})
        assert (names.refusal(Headers(headers)) is None) == good, (host, origin)
    assert Names().refusal(Headers(raw=[(b"host", b"a"), (b"host", b"a")]))
