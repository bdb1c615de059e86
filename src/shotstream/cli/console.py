"""Console output of commands: data to standard output, messages to standard error."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from shotstream.core.errors import StorageError

if TYPE_CHECKING:
    from shotstream.checkpoints.memory_plan import MemoryPlan

err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for a person, on standard error."""
    err.print(text)


def tell_plan(plan: MemoryPlan) -> None:
    """What a model is about to take of the memory."""
    for line in plan.lines():
        say(line)


def say_what_is_warmed_up() -> None:
    """Let the log of sampling be heard: what is compiled or recorded, and how long that took."""
    log = logging.getLogger("shotstream.sampling")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, _Said) for handler in log.handlers):
        log.addHandler(_Said())


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def put(text: str) -> None:
    """One line of data, on standard output. Raises :class:`StorageError` if it cannot be written."""
    with _output() as stream:
        stream.write(text + "\n")


def flush() -> None:
    """Flush standard output. Raises :class:`StorageError` if it cannot be written."""
    with _output() as stream:
        stream.flush()


def any_encoding() -> None:
    """Signs that the terminal's encoding lacks are written as their numbers, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Discard further standard output, as nobody reads it."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


@contextmanager
def _output() -> Iterator[TextIO]:
    if sys.stdout is None:  # the command was started without one
        drop_output()
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as fault:
        drop_output()  # or the interpreter would stumble over it once more at the end
        raise StorageError(f"standard output cannot be written ({fault.strerror})") from fault


def put_json(data: Mapping[str, Any]) -> None:
    """The one object a ``--json`` command prints."""
    put(json.dumps(data, ensure_ascii=False))
