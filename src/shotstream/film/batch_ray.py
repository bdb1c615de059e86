"""Renders stories in parallel on a Ray cluster; a story whose worker died is retried.

The folders of stories and films must be there on every machine, under the same name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shotstream.film.batch import Done, Job, Renderer
from shotstream.film.ray_cluster import ray, start_ray

MOST_TRIES = 3  # per job; after that the job is reported as failed


class _Actor:
    """A Ray actor; makes its renderer in its own process."""

    def __init__(self, make: Callable[[], Renderer]) -> None:
        self._renderer = make()

    def check(self, job: str, again: bool) -> str:
        return self._renderer.check(Job.model_validate_json(job)).model_dump_json()

    def render(self, job: str, again: bool) -> str:
        return self._renderer.render(Job.model_validate_json(job), again=again).model_dump_json()


class RayCrew:
    """At most ``workers`` actors with so many cores and GPUs each, which check and render jobs side by side."""

    def __init__(self, make: Callable[[], Renderer], *, workers: int, cpus: float, gpus: float) -> None:
        start_ray()
        actor_type = ray.remote(num_cpus=cpus, num_gpus=gpus)(_Actor)
        self._hire = lambda: actor_type.remote(make)
        self._workers = workers
        self._idle: list[Any] = []

    def check(self, jobs: Sequence[Job]) -> Iterator[Done]:
        """What :meth:`Renderer.check` finds, for every story."""
        return self._each("check", jobs)

    def render(self, jobs: Sequence[Job]) -> Iterator[Done]:
        """Every job as it finishes."""
        return self._each("render", jobs)

    def close(self) -> None:
        """End the actors."""
        for actor in self._idle:
            ray.kill(actor)

    def _each(self, work: str, jobs: Sequence[Job]) -> Iterator[Done]:
        kept = {job.film for job in jobs if Path(job.film).exists()}  # not ours: no second try replaces them
        waiting = deque((job, 1) for job in jobs)
        self._idle += [self._hire() for _ in range(min(self._workers, len(jobs)) - len(self._idle))]
        running: dict[Any, tuple[Any, Job, int]] = {}
        while waiting or running:
            while waiting and self._idle:
                (job, tries), actor = waiting.popleft(), self._idle.pop()
                again = tries > 1 and job.film not in kept
                running[getattr(actor, work).remote(job.model_dump_json(), again)] = (actor, job, tries)
            (answer,), _ = ray.wait(list(running), num_returns=1)
            actor, job, tries = running.pop(answer)
            try:
                yield Done.model_validate_json(ray.get(answer))
                self._idle.append(actor)
            except ray.exceptions.RayActorError as fault:
                self._idle.append(self._hire())
                if tries < MOST_TRIES:
                    waiting.append((job, tries + 1))
                else:
                    said = str(fault).splitlines()[0]
                    yield Done(job=job, fault=f"{job.story}: its renderer died {tries} times ({said})")
