"""Results of the GPU check as JSON lines, written as soon as they are known, and the time that is left."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import Any

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
