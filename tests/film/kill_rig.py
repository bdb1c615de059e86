"""Real processes that direct a film until they are killed. Run as a program, it is their nursery: it loads the model
once, and for every job that comes in on standard input forks a process that does it, says its number, and at last how
it ended. What the process was told counts goes, line by line, into the job's ``told`` file."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from shotstream.core.errors import InputError
from shotstream.film.disk.folder import holds_film
from shotstream.film.disk.journal import scan
from shotstream.film.film import Film

CAPTIONS = ["It walks.", "It sits.", "It sleeps."]
MOST_SHOTS = 6


class Worker:
    """Directs the film in ``folder`` at random, and tells what was acknowledged."""

    def __init__(self, engine: Any, folder: Path, told: Path, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self._told = told.open("a")
        self.film = Film.reopen(engine, folder) if holds_film(folder) else Film.new(engine, "A red fox.", 7, folder)
        self.tell("open", repairs=self.film.repairs)

    def tell(self, what: str, **more: Any) -> None:
        lines = scan(self.folder / "journal.jsonl").lines
        state = {"what": what, "first": lines[0].decode(), "lines": len(lines), "record": dumped(self.film), **more}
        self._told.write(json.dumps(state) + "\n")
        self._told.flush()

    def work(self, commands: int) -> None:
        for _ in range(commands):
            name = self.dice.choice(list(self.commands))
            try:
                more = self.commands[name]()
            except InputError:
                continue  # not now
            self.tell(name, **(more or {}))

    @property
    def commands(self) -> dict[str, Callable[[], dict[str, Any] | None]]:
        film, dice = self.film, self.dice
        shots = len(film.record.shots)
        pick = dice.randrange(max(1, shots))
        new = lambda: film.insert(pick, dice.choice(CAPTIONS), dice.choice((0.5, 1.3)))  # noqa: E731
        return {
            "insert": lambda: void(new() if shots < MOST_SHOTS else film.delete(pick)),
            "make": lambda: void([block for _, block in film.play()]),
            "more": lambda: void([take.wait() for take in film.queue]),
            "retake": lambda: void(film.retake(pick).wait()),
            "stale": lambda: void(film.remake_stale()),
            "cut": lambda: void((take := film.queue[0], next(iter(take)), take.cut()) if film.queue else None),
            "move": lambda: film.move(pick, 0),
            "duplicate": lambda: void(film.duplicate(pick) if shots < MOST_SHOTS else None),
            "undo": film.undo,
            "redo": film.redo,
            "branch": lambda: film.branch(dice.choice("ab"), pick),
            "switch": lambda: film.switch(dice.choice(("a", "b", "main"))),
            "clean": lambda: void(film.clean(unchosen=dice.random() < 0.5)),
            "save": lambda: film.save(self.folder.parent / "a.film"),
            "export": lambda: void(film.export(self.folder.parent / "a.mp4", force=True)),
            "import": self.bring_in,
        }

    def bring_in(self) -> dict[str, Any] | None:
        source = self.folder.parent / "a.film"
        if not source.exists():
            return None
        target = self.folder.parent / f"import-{self.dice.randrange(10**9)}"
        film = Film.reopen(self.film.engine, source, target)
        film.close()
        return {"imported": target.name, "as": dumped(film)}


def dumped(film: Film) -> dict[str, Any]:
    return film.record.model_dump(mode="json")


def void(_: object) -> None:
    """Whatever it was, nothing is told of it."""


class Nursery:
    """The tests' side: starts the program, gives it jobs, kills what it forks."""

    def __init__(self, model: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def killed(self, folder: Path, seed: int, after: float) -> list[dict[str, Any]]:
        """Let a process direct the film in ``folder`` and kill it ``after`` seconds; returns what it was told."""
        told = folder.parent / "told"
        told.unlink(missing_ok=True)
        job = {"folder": str(folder), "told": str(told), "seed": seed}
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)
        number = int(self._process.stdout.readline())
        time.sleep(after)
        with suppress(ProcessLookupError):  # it has ended by itself: it says how
            os.kill(number, signal.SIGKILL)
        ended = self._process.stdout.readline().strip()
        assert ended in ("killed", "done"), ended
        lines = told.read_text().splitlines(True) if told.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def nurse(model: str) -> None:
    """The program."""
    import torch

    import shotstream

    torch.set_num_threads(1)
    engine = shotstream.load(model, device="cpu", dtype="float32")
    for line in sys.stdin:
        job = json.loads(line)
        number = os.fork()
        if number == 0:
            try:
                Worker(engine, Path(job["folder"]), Path(job["told"]), job["seed"]).work(10_000)
            except BaseException as fault:  # noqa: BLE001
                print(f"fault: {fault!r}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(number, flush=True)
        _, status = os.waitpid(number, 0)
        ended = "killed" if os.WIFSIGNALED(status) else "done" if not status else "failed"
        print(ended, flush=True)


if __name__ == "__main__":
    nurse(sys.argv[1])
