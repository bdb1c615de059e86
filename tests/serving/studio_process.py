"""`shotstream studio` as a process of its own, as a person starts it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

RUN = "from shotstream.cli.main import run; run()"


class StudioProcess:
    """``shotstream studio`` on a free port of ``host``; what it says is added to ``folder/said.txt``, its films are in
    ``folder/films``."""

    def __init__(self, folder: Path, *options: str, host: str, token: str | None = None) -> None:
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self.said, self.films = folder / "said.txt", folder / "films"
        given = ["--host", host, "--port", str(self.port), "--films", str(self.films), "--no-open"]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
        environment |= {} if token is None else {"SHOTSTREAM_TOKEN": token}
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN, "studio", *given, *options], stdout=said, stderr=said, env=environment
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.said.read_text()

    def end(self) -> int:
        self._process.terminate()
        return self._process.wait(120)
