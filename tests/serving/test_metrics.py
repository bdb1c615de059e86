"""/metrics during real work, read with Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from studio_rig import client_of, until

import shotstream


def read(client) -> dict[str, float]:
    """Every sample by name; those with labels as name{value}."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"{{{label}}}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_film_is_counted(tiny_model: Path, tmp_path: Path) -> None:
    with client_of(lambda: shotstream.load(tiny_model, device="cpu"), tmp_path / "films") as client:
        before = read(client)
        assert (before["shotstream_ready"], before["shotstream_films_open"]) == (1, 0)
        assert before["shotstream_model_loads_total"] == 1
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        for caption in ("it walks", "it sits"):
            client.post(f"/api/films/{film}/shots", json={"caption": caption, "seconds": 1.3})
        seen: list[dict[str, float]] = []

        def made() -> bool:
            seen.append(read(client))
            return seen[-1]["shotstream_frames_total"] == 42

        until(made, seconds=120)
        after = seen[-1]
        assert after["shotstream_block_seconds_count"] == 4 == after["shotstream_block_seconds_bucket{+Inf}"]
        assert after["shotstream_first_frame_seconds_count"] == 2
        assert after["shotstream_fps"] > 0 and after["shotstream_films_open"] == 1
        assert max(one["shotstream_cache_bytes"] for one in seen) > 0
        until(lambda: read(client)["shotstream_films_busy"] == 0)
        rest = read(client)
        assert rest["shotstream_queued_takes"] == 0
        assert rest["shotstream_disk_bytes"] == pytest.approx(disk(tmp_path / "films"), rel=0.2)


def disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_failures_and_late_frames_are_counted(client, film, painter, caplog) -> None:
    painter.fail = 1
    client.post(f"/api/films/{film}/shots", json={"caption": "it walks", "seconds": 0.6})
    until(lambda: read(client)["shotstream_frames_total"] == 9)
    found = read(client)
    assert found["shotstream_model_loads_total"] == 2
    assert found["shotstream_notices_total{worker_restarted}"] == 1
    assert found["shotstream_dropped_frames_total"] == 0 and found["shotstream_cache_bytes"] == 12345


def test_without_a_model_what_was_counted_is_told(server_of: Callable) -> None:
    import httpx

    def load() -> object:
        raise RuntimeError("no weights")

    with httpx.Client(base_url=server_of(load).url) as client:
        until(lambda: client.get("/healthz").status_code == 503)
        assert read(client)["shotstream_ready"] == 0
