"""Studios to test: see studio_rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_rig import ARGUMENTS, CHROMIUM, PaintedStudio, opened
from starlette.testclient import TestClient
from studio_rig import PATIENCE, Painter, Server, client_of

from shotstream.api import load


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def client(painter: Painter, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(lambda: painter, tmp_path / "films") as client:
        yield client


@pytest.fixture
def film(client: TestClient) -> str:
    """A film without shots."""
    return client.post("/api/films", json={"global_caption": "a fox", "seed": 7}).json()["id"]


@pytest.fixture
def server_of(tmp_path: Path) -> Iterator[Callable[[Callable[[], object]], Server]]:
    servers: list[Server] = []

    def make(load: Callable[[], object]) -> Server:
        servers.append(Server(load, tmp_path / "films"))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@pytest.fixture
def server(server_of: Callable[..., Server], tiny_model: Path) -> Server:
    """A studio with a real, tiny model."""
    return server_of(lambda: load(tiny_model, device="cpu"))


@pytest.fixture
def page(browser, server: Server) -> Iterator[object]:
    """An empty page of ``server``."""
    with opened(browser, server.url) as page:
        yield page


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaintedStudio]:
    """One studio of a painter for all tests of a module: no model to load, every block at once."""
    studio = PaintedStudio(tmp_path_factory.mktemp("films"))
    yield studio
    studio.server.stop()


@pytest.fixture
def desk_page(browser, painted: PaintedStudio) -> Iterator[object]:
    """An empty page of ``painted`` at a desk's size."""
    with opened(browser, painted.server.url, width=1440, height=900, model="painter") as page:
        yield page
    painted.painter.gate.set()
