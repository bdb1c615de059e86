"""Trains stages in one process or in several of this machine, as jobs say: a job's processes meet as torchrun's do.

    python team.py JOBS.json

A job: ``recipe`` (settings), ``store`` and ``folder`` (paths), ``processes``, and ``until``, the update after which
every process kills itself without warning (None: the end). What goes wrong is written to ``folder``/fault-RANK.txt.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from runs import build

from shotstream.training.distributed import joined
from shotstream.training.engine.loop import Run
from shotstream.training.recipes import read_recipe


def work(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    path = folder.with_suffix(".yaml")
    with joined() as processes:
        with processes.first_before_others():
            if processes.first:
                path.write_text(json.dumps(job["recipe"]))
        stage = build(read_recipe(str(path)), Path(job["store"]))
        run = Run(stage, folder, processes)
        run.resume()

        def watch(progress: object) -> None:
            if run.update == job["until"]:
                os.kill(os.getpid(), signal.SIGKILL)

        run.train(watch)


def start(job: dict[str, Any], rank: int, port: int) -> int:
    """A process of the job: forked, for importing everything anew would take the longest."""
    pid = os.fork()
    if pid:
        return pid
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job["processes"], "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in places.items()} | {"MASTER_ADDR": "127.0.0.1"})
    status = 0
    try:
        work(job)
    except Exception:  # noqa: BLE001 - a fault of any kind is the parent's to read
        if job["until"] is not None:  # the others have died as they should
            os._exit(1)
        Path(job["folder"]).mkdir(parents=True, exist_ok=True)
        (Path(job["folder"]) / f"fault-{rank}.txt").write_text(traceback.format_exc())
        status = 1
    os._exit(status)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(path: Path) -> None:
    for job in json.loads(path.read_text()):
        port = free_port()
        for pid in [start(job, rank, port) for rank in range(job["processes"])]:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
