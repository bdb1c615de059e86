"""A real studio, as a process, opened in Chromium through a forwarded port and through reverse proxies under a path."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from page_rig import begin, idle, opened, shoot
from proxy_rig import Manner, Proxy
from studio_process import StudioProcess
from studio_rig import until

WAYS = {
    "forwarded port": Manner(),
    "path taken off": Manner(path="/studio"),
    "path left on": Manner(path="/studio", takes_off=False),
    "another name": Manner(path="/studio", own_name=True),
}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[dict[str, Proxy]]:
    """One studio, reached in every way that it was told of, and in one that it was not."""
    proxies = {name: Proxy(manner) for name, manner in WAYS.items()}
    named = [word for proxy in proxies.values() for word in ("--allow-host", f"localhost:{proxy.port}")]
    proxies["not named"] = Proxy(Manner())
    options = ("--model", str(tiny_model), "--device", "cpu", "--root-path", "/studio", *named)
    studio = StudioProcess(tmp_path_factory.mktemp("studio"), *options, host="127.0.0.1")
    for proxy in proxies.values():
        proxy.target = studio.port
        proxy.start()
    try:
        until(lambda: is_ready(studio))
        yield proxies
    finally:
        for proxy in proxies.values():
            proxy.stop()
        studio.end()


def is_ready(studio: StudioProcess) -> bool:
    try:
        return httpx.get(f"{studio.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("way", WAYS)
def test_a_film_is_directed_through_it(ways: dict[str, Proxy], browser, way: str) -> None:
    """The page, its API, its live socket and the pictures of its takes all come the same way."""
    proxy = ways[way]
    asked: list[str] = []
    with opened(browser, proxy.url) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        begin(page, "wide shot. it walks", "0.5625")
        shoot(page, "it sits")
        idle(page, 2)
        page.reload()
        idle(page, 2)
        assert page.evaluate("document.querySelectorAll('.strip .shot').length") == 2
    beside = (proxy.url, proxy.url.replace("http:", "ws:"), "data:", "blob:")
    assert asked and all(one.startswith(beside) for one in asked), asked
    assert any(one.startswith("ws:") for one in asked)


def test_other_names_and_ports_stay_outside(ways: dict[str, Proxy]) -> None:
    answer = httpx.get(ways["not named"].url)
    assert answer.status_code == 421 and "does not answer to that name" in answer.text
    known = ways["path taken off"]
    assert httpx.get(known.url, headers={"Host": "evil.example"}).status_code == 421
    for way in (known, ways["another name"]):
        begun = {"json": {"global_caption": "a fox"}, "headers": {"Origin": "http://evil.example"}}
        assert httpx.post(f"{way.url}api/films", **begun).status_code == 403
        begun["headers"] = {"Origin": f"http://localhost:{way.port + 1}"}
        assert httpx.post(f"{way.url}api/films", **begun).status_code == 403
        begun["headers"] = {"Origin": f"http://localhost:{way.port}"}
        assert httpx.post(f"{way.url}api/films", **begun).status_code == 201


def test_a_proxy_is_what_it_says() -> None:
    """The rig itself; in a thread without the browser's event loop."""
    with ThreadPoolExecutor(1) as apart:
        apart.submit(changes_the_head).result()


def changes_the_head() -> None:
    proxy = Proxy(Manner(path="/a", own_name=True))
    proxy.target = 7
    head = b"GET /a/b HTTP/1.1\r\nHost: x:1\r\nConnection: keep-alive\r\n\r\n"
    assert proxy._changed(head) == b"GET /b HTTP/1.1\r\nHost: 127.0.0.1:7\r\nConnection: close\r\n\r\n"
    assert proxy._changed(head.replace(b"/a/", b"/c/")) is None
    proxy.manner = replace(proxy.manner, takes_off=False, own_name=False)
    assert proxy._changed(head) == b"GET /a/b HTTP/1.1\r\nHost: x:1\r\nConnection: close\r\n\r\n"
    proxy.start()
    proxy.stop()
