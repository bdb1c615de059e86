"""Renders a folder of stories: which are left to do, and a renderer for one after the other.

Resumable: films appear whole, so one that is there is done; one that was interrupted is picked up
(:mod:`shotstream.film.render`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shotstream.core.config import Config
from shotstream.core.errors import InputError, ShotStreamError, StorageError
from shotstream.core.files import plain_entries
from shotstream.film.director import Director
from shotstream.film.render import render
from shotstream.film.report import RenderReport
from shotstream.media.film_paths import only_writer, ready_for_film
from shotstream.media.story_check import check_story
from shotstream.media.story_file import read_story

SUFFIXES = (".yaml", ".yml", ".json")


class Job(Config):
    """One story and the film it shall become. ``older``: the film is there, but older than the story."""

    story: str
    film: str
    there: bool = False
    older: bool = False


class Done(Config):
    """How a job ended: with a report, or with a line about what is wrong. ``warnings``: what of its story will not come
    out as written; said when it is checked."""

    job: Job
    report: RenderReport | None = None
    fault: str = ""
    warnings: tuple[str, ...] = ()


def jobs_of(folder: Path, films: Path) -> list[Job]:
    """A job for every story in ``folder``, by name. Raises :class:`InputError` if there is none, or two would become
    the same film; :class:`StorageError`."""
    try:
        stories = [path for path in plain_entries(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError as fault:
        raise StorageError(f"{folder}: cannot be read ({fault.strerror})") from fault
    if not stories:
        raise InputError(f"{folder}: holds no story ({', '.join(SUFFIXES)})")
    by_film: dict[Path, Path] = {}
    for story in stories:
        film = films / f"{story.stem}.mp4"
        if film in by_film:
            raise InputError(f"{folder}: {by_film[film].name} and {story.name} would be the same film; rename one")
        by_film[film] = story
    return [_job(story, film) for film, story in by_film.items()]


def _job(story: Path, film: Path) -> Job:
    there = film.exists()
    older = there and film.stat().st_mtime < story.stat().st_mtime
    return Job(story=str(story), film=str(film), there=there, older=older)


class Renderer:
    """Renders jobs one after the other with one model, loaded with ``load`` when the first one needs it."""

    def __init__(
        self, load: Callable[[], Director], *, seed: int | None = None, storyboard: bool = True, force: bool = False
    ) -> None:
        self._load, self._seed, self._storyboard, self._force = load, seed, storyboard, force
        self._director: Director | None = None

    def check(self, job: Job) -> Done:
        """Look at the story before anything is rendered: can it be read, and does the model know what it speaks of?"""
        said: list[str] = []
        try:
            story = read_story(job.story, said.append).finite(job.story)
            ready_for_film(Path(job.film), storyboard=False, force=self._force)
        except ShotStreamError as fault:
            return Done(job=job, fault=str(fault))
        found = check_story(story, self._loaded())
        if found.blind and not self._force:
            blind = f"shot {found.blind[0]}: the model knows no word of its prompt; --force makes it anyway"
            return Done(job=job, fault=f"{job.story}: {blind}")
        return Done(job=job, warnings=(*said, *(f"{job.story}: {one}" for one in found.warnings)))

    def render(self, job: Job, *, again: bool = False) -> Done:
        """Render one story. An error in the story is reported in the answer, so that the other stories go on; any other
        error is raised.

        again: retry a render whose worker died before reporting; a film it may have finished is replaced.
        """
        film = Path(job.film)
        try:
            with only_writer(film):
                return self._made(job, film, again)
        except InputError as fault:
            return Done(job=job, fault=str(fault))

    def _made(self, job: Job, film: Path, again: bool) -> Done:
        try:
            story = read_story(job.story)
            ready_for_film(film, storyboard=False, force=self._force or again)
        except ShotStreamError as fault:
            return Done(job=job, fault=str(fault))
        try:
            report = render(self._loaded(), story, film, seed=self._seed, storyboard=self._storyboard)
        except (InputError, StorageError) as fault:
            return Done(job=job, fault=str(fault))
        return Done(job=job, report=report)

    def _loaded(self) -> Director:
        if self._director is None:
            self._director = self._load()
        return self._director
