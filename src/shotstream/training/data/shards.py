"""A folder of shards with its description, and processes that write them in parallel.

The small convolutions of a codec leave two threads of one process waiting for each other half of the time: single
pictures of 128 stories took 16 s so, and 8 s in two processes (docs/development/log.md).
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import torch

from shotstream.core.files import make_folder, write_text


def claim(description: Path, wanted: Mapping[str, Any]) -> None:
    """Make the folder of the file ``description`` one made by ``wanted``: shards made by something else go."""
    make_folder(description.parent)
    text = json.dumps(wanted, sort_keys=True)
    if _described(description) != json.loads(text):
        for stale in description.parent.glob("shard-*.safetensors"):
            stale.unlink()
        write_text(description, text)


def shard_file(folder: Path, number: int) -> Path:
    """Where shard ``number`` of ``folder`` is, or will be."""
    return folder / f"shard-{number:05d}.safetensors"


def _described(description: Path) -> Any:
    """What the file says; None if there is none, or nobody can tell."""
    try:
        return json.loads(description.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


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


class ShardsAhead:
    """Shards made by processes of their own, ``workers`` of them, while those before them are read.

    there: is the shard of a number made already?
    """

    def __init__(self, work: Work, there: Callable[[int], bool], workers: int = 1) -> None:
        self._work, self._there, self._count = work, there, workers
        self._pool: ProcessPoolExecutor | None = None
        self._asked: dict[int, Future[int]] = {}
        self._reached = 0

    def reach(self, shards: int) -> None:
        """Wait until the first ``shards`` are there, and have the next ones made meanwhile, one by every worker."""
        for number in range(self._reached, shards + self._count):
            if number not in self._asked and not self._there(number):
                self._asked[number] = self._workers().submit(_whole, self._work, number)
        for number in range(self._reached, shards):
            if number in self._asked:
                self._asked.pop(number).result()
        self._reached = max(self._reached, shards)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, spawn, initializer=torch.set_num_threads, initargs=(1,))
        return self._pool


def make_missing(
    folder: Path,
    work: Work,
    shards: int,
    held: Callable[[int], int],
    *,
    side_by_side: bool,
    progress: Callable[[int, int], None],
) -> ShardsAhead:
    """Make those of the first ``shards`` of ``folder`` that are not there yet. Returns what makes others.

    held: how many stories the shard of a number has; ``progress`` is told how many are done, of how many.
    """
    there = partial(has_shard, folder)
    missing = [number for number in range(shards) if not there(number)]
    total, done = sum(map(held, missing)), 0
    for more in make_shards(work, missing, side_by_side=side_by_side):
        done += more
        progress(done, total)
    return ShardsAhead(work, there, _idle_cores())


def _idle_cores() -> int:
    """How many cores training leaves to those who draw for it: all but its own where a GPU learns, else one."""
    return max(1, (os.cpu_count() or 1) - 1) if torch.cuda.is_available() else 1


def shown_shards(at_once: int, learnt: float, seen: float, held: float) -> range:
    """The shards to draw from after ``learnt`` samples, ``at_once`` of them, so that one is drawn ``seen`` times.

    held: samples in a shard. Every ``seen * held`` samples the oldest shard gives way to a new one; the first ones
    do so earlier.
    """
    newest = at_once + math.floor(learnt / (seen * held))
    return range(newest - at_once, newest)


def _whole(work: Work, number: int) -> int:
    return sum(work(number))


def has_shard(folder: Path, number: int) -> bool:
    """Is it there, whole?"""
    return shard_file(folder, number).exists()
