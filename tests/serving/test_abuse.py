"""A studio that is abused for minutes: other clients' commands are answered in time, memory and open files stay flat.

``ABUSE_SECONDS``: another length than five minutes; everything else shrinks with it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from abuse import Abuse
from studio_process import StudioProcess
from studio_rig import until

from shotstream.serving.client import StudioClient, StudioError

SECONDS = float(os.environ.get("ABUSE_SECONDS", "300"))
SHARE = SECONDS / 300
CONNECTIONS, REQUESTS, MESSAGES = round(3300 * SHARE), round(11_000 * SHARE), round(25_000 * SHARE)
PAUSE = 0.25  # seconds between two commands of the ordinary client


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path, "--model", str(tiny_model), "--device", "cpu", host="127.0.0.1")
    yield process
    process.end()


def answering(friend: StudioClient) -> bool:
    try:
        return friend.model().state == "ready"
    except StudioError:
        return False


def abused(port: int, film: str) -> Abuse:
    return Abuse(port, film, SECONDS, connections=CONNECTIONS, requests=REQUESTS, messages=MESSAGES)


@pytest.mark.soak
def test_a_studio_that_is_abused_serves_the_others(studio: StudioProcess, capsys) -> None:
    with StudioClient(studio.url) as friend:
        until(lambda: answering(friend), 300)
        film, own = friend.begin("a red fox in the forest"), friend.begin("a bear in the snow")
        film.shoot("it walks", seconds=0.6)
        own.shoot("it walks", seconds=0.6)
        own.wait()
        abuse = abused(studio.port, film.id)
        thread = threading.Thread(target=lambda: asyncio.run(abuse.run()))
        process, waits, memory, files = psutil.Process(studio.pid), [], [], []
        thread.start()
        while thread.is_alive():
            began = time.monotonic()
            own.view() if len(waits) % 2 else own.choose(0, 0)
            waits.append(time.monotonic() - began)
            memory.append(process.memory_info().rss)
            files.append(process.num_fds())
            time.sleep(PAUSE)
        thread.join()
        assert own.view().shots[0].chosen is not None and answering(friend)
        until(lambda: process.num_fds() < files[0] + 40, 120)  # what was open for abusers is closed
    warm = max(1, len(memory) // 4)
    grown = np.mean(memory[-warm:]) - np.mean(memory[warm : 2 * warm])
    log = studio.log()
    with capsys.disabled():
        print(f"\n{SECONDS:g} s of abuse: {dict(sorted(abuse.done.items()))}")
        p50, p99 = np.percentile(waits, [50, 99])
        print(f"{len(waits)} commands of another client: p50 {p50:.3f} s, p99 {p99:.3f} s, most {max(waits):.3f} s")
        first, last = memory[0] / 1e6, memory[-1] / 1e6
        print(f"memory {first:.0f} to {last:.0f} MB, grown {grown / 1e6:.1f} MB behind the first half")
        print(f"open files {files[0]} at first, at most {max(files)}; {len(log)} characters of log")
    assert not [one for one in abuse.done if one.startswith("answer 5") and one != "answer 503"], abuse.done
    assert "Traceback" not in log and len(log) < 100_000
    assert grown < 64e6
