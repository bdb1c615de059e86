"""``shotstream generate DIR``: every story of a folder becomes a film; run again, it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shotstream.cli.console import put, put_json, say

if TYPE_CHECKING:
    from shotstream.api import Loading
    from shotstream.film.batch import Done, Job, Renderer


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Who renders: this process, or ``count`` actors of a Ray cluster with so many cores and GPUs each."""

    ray: bool
    count: int
    cpus: float
    gpus: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to render with, and what becomes of films that are there; ``loading``: as for ``shotstream.load``."""

    model: str
    loading: Loading
    seed: int | None
    force: bool
    storyboard: bool


def generate_folder(folder: Path, films: Path, workers: Workers, wanted: Wanted, *, as_json: bool) -> None:
    """Render what is not there yet. Exit code 2 if any story could not be."""
    from shotstream.core.files import make_folder
    from shotstream.film.batch import jobs_of

    jobs = jobs_of(folder.absolute(), films.absolute())
    make_folder(films)
    todo = [job for job in jobs if wanted.force or not job.there]
    old = [job.film for job in jobs if job.older and not wanted.force]
    if len(todo) < len(jobs):
        say(f"{len(jobs) - len(todo)} of {len(jobs)} films are there already")
    if old:
        say(f"older than their stories, made again with --force: {', '.join(old)}")
    renderer = partial(_renderer, wanted)
    done = []
    for one in _rendered(renderer, todo, workers):
        done.append(one)
        if one.fault:
            say(f"error: {one.fault}")
        elif not as_json:
            put(one.job.film)
        say(f"{len(done)} of {len(todo)}")
    if as_json:
        put_json({"there": len(jobs) - len(todo), "films": [_told(one) for one in done]})
    if any(one.fault for one in done):
        raise typer.Exit(2)


def _rendered(make: partial[Renderer], jobs: list[Job], workers: Workers) -> Iterator[Done]:
    if not jobs:
        return iter(())
    if not workers.ray:
        return map(make().render, jobs)
    from shotstream.film.batch_ray import render_with_ray

    return render_with_ray(make, jobs, workers=workers.count, cpus=workers.cpus, gpus=workers.gpus)


def _renderer(wanted: Wanted) -> Renderer:
    """Importable by name, so that Ray can make one on another machine."""
    from shotstream.api import load
    from shotstream.film.batch import Renderer

    loader = partial(load, wanted.model, **wanted.loading)
    return Renderer(loader, seed=wanted.seed, storyboard=wanted.storyboard, force=wanted.force)


def _told(one: Done) -> dict[str, object]:
    report = None if one.report is None else one.report.model_dump(mode="json", exclude={"picked_up"})
    return {"story": one.job.story, "film": one.job.film, "fault": one.fault, "report": report}
