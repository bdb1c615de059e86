"""Two kinds of work side by side: the next item is made here while the one before it is worked on in another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def one_behind(work: Callable[[Item], Done], items: Iterable[Item], *, first_at_once: bool = False) -> Iterator[Done]:
    """``work(item)`` for every item, in order, done in a second thread while the next item comes about in this one.

    So ``items`` runs one item ahead of what is yielded. first_at_once: somebody waits for the first; it is finished
    and yielded before the second is begun. What ``work`` raises is raised here, at most one item later. Whoever stops
    iterating waits for the work under way.
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
