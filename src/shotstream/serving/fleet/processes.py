"""Replicas as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Protocol

from shotstream.core.errors import InputError
from shotstream.serving.fleet.replica import ReplicaSettings

PATIENCE = 30.0  # seconds a replica may take to finish its block and save
COMMAND = (sys.executable, "-c", "from shotstream.cli.main import run; run()", "replica")


class Replica(Protocol):
    """A studio somewhere. Every method may take a moment; none is called from an event loop."""

    @property
    def url(self) -> str: ...

    def alive(self) -> bool: ...

    def end(self) -> None:
        """Let it finish its block and save."""

    def kill(self) -> None:
        """End it at once, whatever it does: what it was making is made again from its seed, the same."""


Launcher = Callable[[int], Replica]  # the slot to fill, from 0


class ProcessReplica:
    """A process of this machine. It ends with us, however we end: its standard input ends then."""

    def __init__(self, settings: ReplicaSettings, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the front, which ends its replicas in order
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(settings.model_dump_json() + "\n")
            self._process.stdin.flush()
            self.url: str = json.loads(self._process.stdout.readline())["url"]
        except (OSError, ValueError) as fault:
            self.end()
            raise InputError("a replica of the studio did not start; what it said is above") from fault

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


def process_launcher(settings: ReplicaSettings, replicas: int) -> Launcher:
    """Share this machine's cores out among ``replicas`` processes. With ``cuda``, each gets a GPU of its own."""
    threads = str(max(1, (os.cpu_count() or 1) // replicas))

    def launch(slot: int) -> Replica:
        environment = {"OMP_NUM_THREADS": threads}
        if settings.loading.get("device") == "cuda":
            environment["CUDA_VISIBLE_DEVICES"] = str(slot)
        return ProcessReplica(settings, environment)

    return launch
