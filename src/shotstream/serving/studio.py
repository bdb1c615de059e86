"""All films at work with one model. Everything here runs in the worker's thread, one thing after the other."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.story import Story
from shotstream.film.engine import Engine
from shotstream.film.film import Film
from shotstream.serving.library import Library
from shotstream.serving.protocol import MAX_QUEUE, Notice
from shotstream.serving.session import Audience, Clock, RefusedError, Session

MOST_OPEN = 32  # films in memory at once
MOST_FAILURES = 2  # of one take in a row before its film waits for a person


class StudioEngine(Engine, Protocol):
    """A model that can be warmed up and asked about words."""

    def warm_up(self) -> None: ...

    def known_words(self) -> frozenset[str]: ...


class Studio:
    """Opens films of ``library`` and makes what they ask for, the most urgent block first."""

    def __init__(self, engine: StudioEngine, library: Library, audience: Audience, clock: Clock) -> None:
        self.engine, self.library = engine, library
        self._audience, self._clock = audience, clock
        self._sessions: dict[str, Session] = {}

    def create(self, global_caption: str, seed: int) -> Session:
        """A new film. Raises :class:`InputError`."""
        id = self.library.new_id()
        return self._opened(id, Film.new(self.engine, global_caption, seed, self.library.folder(id)))

    def open_file(self, path: Path) -> Session:
        """A film of its own from a film file. Raises :class:`InputError`."""
        id = self.library.new_id()
        try:
            return self._opened(id, Film.reopen(self.engine, path, self.library.folder(id)))
        except ShotStreamError:
            _remove(self.library.folder(id))
            raise

    def open_story(self, story: Story) -> Session:
        """A film with every shot of ``story`` planned. Raises :class:`InputError`, :class:`RefusedError`."""
        if len(story.shots) > MAX_QUEUE:
            raise RefusedError("queue_full", f"a story opened here has at most {MAX_QUEUE} shots")
        session = self.create(story.global_caption, story.seed)
        for shot in story.shots:
            session.film.shot(shot.caption, shot.seconds, shot.seed)
        return session

    def session(self, id: str) -> Session:
        """The film ``id``, opened if it is not. Raises :class:`RefusedError` if there is none."""
        if id not in self._sessions:
            if not self.library.has(id):
                raise RefusedError("no_such_film", "there is no such film")
            self._opened(id, Film.reopen(self.engine, self.library.folder(id)))
        return self._sessions[id]

    def due(self) -> float | None:
        """When the most urgent block has to be begun; None: never."""
        times = [due for session in self._sessions.values() if (due := session.due()) is not None]
        return min(times, default=None)

    def step(self) -> None:
        """Take the most urgent step. A film whose take fails for its own reasons is paused and says why.

        Anything else that is raised is the model's or ours, and ends this studio: see the worker.
        """
        urgent = min((session for session in self._sessions.values() if session.busy), key=lambda one: one.due() or 0.0)
        try:
            urgent.step()
        except ShotStreamError as fault:
            self._pause(urgent, str(fault))
        except Exception:
            urgent.failures += 1
            raise

    def failures(self) -> dict[str, int]:
        """How often each film's next take has failed in a row."""
        return {id: session.failures for id, session in self._sessions.items() if session.failures}

    def inherit(self, failures: dict[str, int], at_work: list[str]) -> None:
        """Take over from a studio that died: films ``at_work`` go on; those that failed too often wait."""
        for id in at_work:
            try:
                session = self.session(id)
            except (InputError, RefusedError):
                continue  # whoever watches it is told when they ask for it
            session.failures = failures.get(id, 0)
            self._audience.tell(id, Notice(code="worker_restarted", text="The model was restarted; nothing is lost."))
            if session.failures >= MOST_FAILURES:
                self._pause(session, "the shot failed again; change it, or try once more")
            self._audience.tell(id, session.view())

    def at_work(self) -> list[str]:
        """Films that are open."""
        return list(self._sessions)

    def close(self) -> None:
        """End what runs where it stands, so that what was seen is kept."""
        for session in self._sessions.values():
            if session.film.running is not None:
                with suppress(ShotStreamError):
                    session.film.running.stop()

    def _pause(self, session: Session, said: str) -> None:
        session.paused = True
        session.forget()
        self._audience.tell(session.id, Notice(code="take_failed", text=said))
        self._audience.tell(session.id, session.view())

    def _opened(self, id: str, film: Film) -> Session:
        idle = [one for one in self._sessions if not self._sessions[one].busy and not self._audience.watched(one)]
        for old in idle[: max(0, len(self._sessions) - MOST_OPEN + 1)]:
            del self._sessions[old]
        self._sessions[id] = Session(id, film, self.library, self._audience, self._clock)
        return self._sessions[id]


def _remove(folder: Path) -> None:
    """Remove what an import that failed has left."""
    for path in (*folder.glob("takes/*"), folder / "film.json"):
        path.unlink(missing_ok=True)
    for path in (folder / "takes", folder):
        if path.is_dir():
            path.rmdir()
