"""Studios to test: see studio_rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from studio_rig import Painter, Server, client_of


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
