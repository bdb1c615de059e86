"""Where commands speak: data to standard output, chatter to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from shotstream.tools.memory_plan import MemoryPlan

err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def say(text: str) -> None:
    """One line of chatter, on standard error."""
    err.print(text)


def tell_plan(plan: MemoryPlan) -> None:
    """What a model is about to take of the memory."""
    for line in plan.lines():
        say(line)


def put(text: str) -> None:
    """One line of data, on standard output."""
    sys.stdout.write(text + "\n")


def put_json(data: Mapping[str, Any]) -> None:
    """The one object a ``--json`` command prints."""
    put(json.dumps(data, ensure_ascii=False))
