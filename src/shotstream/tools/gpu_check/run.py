"""Runs ``shotstream gpu-check``: its parts one after the other, each within its share of the time.

A part is a process. What it measures is in the report a moment later, so whatever ends it, or all of them, costs only
what was being measured.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Literal

from shotstream import __version__
from shotstream.core.files import make_folder, write_text

SAID = ("failed", "skipped")  # keys of lines that say why there is nothing to measure


class Ledger:
    """The lines of one part in ``file``, and its clock: ``seconds`` from now on."""

    def __init__(self, file: Path, seconds: float) -> None:
        self._file = file
        self._end = monotonic() + seconds

    def tell(self, **measured: Any) -> None:
        """Write down what was ``measured``; whatever happens after this, it is there."""
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(measured) + "\n")

    @property
    def left(self) -> float:
        """Seconds until the part's time is over."""
        return self._end - monotonic()


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of ``file`` that are whole; none where it is not there."""
    if not file.is_file():
        return []
    whole = file.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


REPORT = "gpu-check.json"
# The most of the whole time that a part may take. What one leaves over goes to those behind it; the last takes it all.
SHARES = {"verify": 0.1, "wan": 0.45, "embedded": 0.15, "training": 1.0}
LOOKED_EVERY, GRACE = 1.0, 10.0  # seconds: between looks at a part; from asking it to end to ending it
Status = Literal["done", "cut off", "failed", "skipped"]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What is known so far, in ``out``/gpu-check.json after every change."""

    out: Path
    machine: Mapping[str, Any]
    minutes: float
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, part: str, measured: Sequence[Mapping[str, Any]], **told: Any) -> None:
        """Replace what is said of ``part``, if it is something else."""
        said = {**told, "measured": list(measured)}
        if self.parts.get(part) != said:
            self.parts[part] = said
            found = {"shotstream": __version__, "machine": self.machine, "minutes": self.minutes, "parts": self.parts}
            write_text(self.out / REPORT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def gpu_check(
    out: Path, asked: Mapping[str, Any], *, minutes: float, parts: Sequence[str], machine: Mapping[str, Any], tell: Tell
) -> Report:
    """Do ``parts`` within ``minutes``; ``asked`` is what each is told (:class:`...part.Asked`). ``tell`` hears of every
    part's end. Raises :class:`StorageError` where ``out`` cannot be written to."""
    make_folder(out)
    report = Report(out, machine, minutes)
    end = monotonic() + 60 * minutes
    with TemporaryDirectory(prefix="shotstream-gpu-check-") as folder:
        for part in parts:
            last = part == parts[-1]
            seconds = min(end - monotonic(), 60 * minutes * (1.0 if last else SHARES[part]))
            status = _do(part, Path(folder) / f"{part}.jsonl", seconds, asked, report)
            tell(f"{part}: {status}, {report.parts[part]['seconds']:.0f} s")
    return report


def _do(part: str, file: Path, seconds: float, asked: Mapping[str, Any], report: Report) -> Status:
    """One part, for so many ``seconds`` at most; how it ended."""
    began = monotonic()
    words = [sys.executable, "-m", "shotstream.tools.gpu_check.part", part, str(file), str(seconds), json.dumps(asked)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=quiet, stderr=quiet, stdin=quiet, start_new_session=os.name != "nt")
    code: int | None = None
    try:
        while code is None and monotonic() - began < seconds:
            code = _waited(process, LOOKED_EVERY)
            report.put(part, read_lines(file), status="running", seconds=round(monotonic() - began))
    finally:
        if code is None:
            _end(process)
    lines = read_lines(file)
    status = _status(code, lines)
    report.put(part, lines, status=status, seconds=monotonic() - began, allowed=seconds)
    return status


def _status(code: int | None, lines: Sequence[Mapping[str, Any]]) -> Status:
    if code is None:
        return "cut off"
    if code:
        return "failed"
    return "skipped" if lines and all(any(word in line for word in SAID) for line in lines) else "done"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the part to end, then end it and all it has started."""
    process.terminate()
    _waited(process, GRACE)
    if os.name == "nt":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its drawers too, which outlive it
    process.wait()


def _waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, if there is one within ``seconds``."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def describe(device: str) -> dict[str, Any]:
    """The machine: its device, software and cores."""
    import torch

    from shotstream.core.devices import pick_device

    place = pick_device(device)
    told: dict[str, Any] = {"device": str(place), "python": platform.python_version(), "torch": torch.__version__}
    told |= {"cores": os.cpu_count(), "system": platform.platform()}
    if place.type == "cuda":
        found = torch.cuda.get_device_properties(place)
        told |= {"gpu": found.name, "memory_bytes": found.total_memory, "cuda": torch.version.cuda}
        told |= {"multiprocessors": found.multi_processor_count, "cudnn": torch.backends.cudnn.version()}
    return told
