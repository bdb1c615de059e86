"""Shards made side by side: a process a core, each of one thread.

The small convolutions of a codec leave two threads of one process waiting for each other half of the time: single
pictures of 128 stories took 16 s so, and 8 s in two processes (docs/log.md).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

Work = Callable[[int], Iterator[int]]  # makes the shard of a number, and tells how many stories it holds as they come


def make_shards(work: Work, numbers: Sequence[int], *, side_by_side: bool) -> Iterator[int]:
    """Make the shards ``numbers``; yields how many stories more are done, again and again.

    side_by_side: in several processes, each with a copy of what ``work`` needs; not for what lives on a GPU.
    """
    workers = min(os.cpu_count() or 1, len(numbers))
    if not side_by_side or workers < 2:
        for number in numbers:
            yield from work(number)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for shard in as_completed([pool.submit(_whole, work, number) for number in numbers]):
                yield shard.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _whole(work: Work, number: int) -> int:
    return sum(work(number))
