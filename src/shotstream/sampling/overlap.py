"""Pipelining: process an item in a second thread while the next one is produced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def one_behind(work: Callable[[Item], Done], items: Iterable[Item], *, first_at_once: bool = False) -> Iterator[Done]:
    """Yield ``work(item)`` for every item, in order. ``work`` runs in a second thread while the next item is produced.

    So ``items`` is one item ahead of what is yielded. first_at_once: yield the first result before the second item is
    produced, because somebody is waiting for it. What ``work`` raises is raised here, at most one item later. Closing
    the iterator waits for the work in progress.
    """
    pending: Future[Done] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="one-behind") as thread:
        for index, item in enumerate(items):
            following = thread.submit(work, item)
            if pending is not None:
                yield pending.result()
            pending = following
            if first_at_once and index == 0:
                yield pending.result()
                pending = None
        if pending is not None:
            yield pending.result()
