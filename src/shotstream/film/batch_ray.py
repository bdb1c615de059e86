"""Stories rendered side by side by actors of a Ray cluster; what an actor that dies was at is done again elsewhere.

The folders of stories and films must be there on every machine, under the same name.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray

from shotstream.film.batch import Done, Job, Renderer

MOST_TRIES = 3  # of one job: then it is what kills


def start_ray() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one on this machine."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 is behind everything else; films are made in real time
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)


class _Actor:
    """Makes its renderer where it lives."""

    def __init__(self, make: Callable[[], Renderer]) -> None:
        self._renderer = make()

    def render(self, job: str, again: bool) -> str:
        return self._renderer.render(Job.model_validate_json(job), again=again).model_dump_json()


def render_with_ray(
    make: Callable[[], Renderer], jobs: Sequence[Job], *, workers: int, cpus: float, gpus: float
) -> Iterator[Done]:
    """Every job as it is done, by at most ``workers`` actors with so many cores and GPUs each."""
    start_ray()
    actor_type = ray.remote(num_cpus=cpus, num_gpus=gpus)(_Actor)
    kept = {job.film for job in jobs if Path(job.film).exists()}  # not ours: no second try replaces them
    waiting = deque((job, 1) for job in jobs)
    idle: list[Any] = [actor_type.remote(make) for _ in range(min(workers, len(jobs)))]
    running: dict[Any, tuple[Any, Job, int]] = {}
    while waiting or running:
        while waiting and idle:
            (job, tries), actor = waiting.popleft(), idle.pop()
            again = tries > 1 and job.film not in kept
            running[actor.render.remote(job.model_dump_json(), again)] = (actor, job, tries)
        (answer,), _ = ray.wait(list(running), num_returns=1)
        actor, job, tries = running.pop(answer)
        try:
            yield Done.model_validate_json(ray.get(answer))
            idle.append(actor)
        except ray.exceptions.RayActorError as fault:
            idle.append(actor_type.remote(make))
            if tries < MOST_TRIES:
                waiting.append((job, tries + 1))
            else:
                yield Done(
                    job=job, fault=f"{job.story}: its renderer died {tries} times ({str(fault).splitlines()[0]})"
                )
    for actor in idle:
        ray.kill(actor)
