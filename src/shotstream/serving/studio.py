"""All films at work with one model. Everything here runs in the worker's thread, one thing after the other."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.story import Story
from shotstream.film.engine import Engine
from shotstream.film.film import Film
from shotstream.serving.library import Library
from shotstream.serving.metrics import Occupied
from shotstream.serving.protocol import MAX_QUEUE, Notice
from shotstream.serving.session import Audience, Clock, RefusedError, Session

MOST_OPEN = 32  # films in memory at once
DRAFTS_APART = 0.1  # seconds between captions that are read while they are typed, whoever types
MOST_FAILURES = 2  # of one take in a row before its film waits for a person
_log = logging.getLogger(__name__)


class StudioEngine(Engine, Protocol):
    """A model that can be warmed up and asked about words, and what its caches hold."""

    def warm_up(self) -> None: ...

    def known_words(self) -> frozenset[str]: ...

    def cache_bytes(self) -> int: ...


class Studio:
    """Opens films of ``library`` and makes what they ask for, the most urgent block first."""

    def __init__(self, engine: StudioEngine, library: Library, audience: Audience, clock: Clock) -> None:
        self.engine, self.library = engine, library
        self._audience, self._clock = audience, clock
        self._sessions: dict[str, Session] = {}
        self._read_at = -DRAFTS_APART

    def create(self, global_caption: str, seed: int) -> Session:
        """A new film. Raises :class:`InputError`."""
        self.library.refuse_if_full()
        id = self.library.new_id()
        return self._opened(id, Film.new(self.engine, global_caption, seed, self.library.folder(id)))

    def open_file(self, path: Path) -> Session:
        """A film of its own from a film file. Raises :class:`InputError`."""
        self.library.refuse_if_full()
        id = self.library.new_id()
        try:
            return self._opened(id, Film.reopen(self.engine, path, self.library.folder(id)))
        except ShotStreamError:
            shutil.rmtree(self.library.folder(id), ignore_errors=True)
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
            film = Film.reopen(self.engine, self.library.folder(id))
            self._opened(id, film)
            for said in film.repairs:
                _log.warning("film %s: %s", id, said)
                self._audience.tell(id, Notice(code="repaired", text=said))
        return self._sessions[id]

    def read_ahead(self, id: str, caption: str) -> None:
        """Read a draft of the film's next caption, unless there is something to make, or one was read just now.

        Raises as :meth:`session` does, and :class:`InputError` for a caption no shot may have.
        """
        session, now = self.session(id), self._clock()
        if now - self._read_at >= DRAFTS_APART and not any(other.busy for other in self._sessions.values()):
            session.film.read_ahead(caption)
            self._read_at = now

    def due(self) -> float | None:
        """When the most urgent block has to be begun; None: never."""
        times = [due for session in self._sessions.values() if (due := session.due()) is not None]
        return min(times, default=None)

    def step(self) -> None:
        """Take the most urgent step, if one is due. A film whose take fails for its own reasons is paused and says why.

        Anything else that is raised is the model's or ours, and ends this studio: see the worker.
        """
        now = self._clock()
        due = [session for session in self._sessions.values() if (at := session.due()) is not None and at <= now]
        if not due:
            return  # it was, but somebody began to watch
        urgent = min(due, key=lambda session: session.turn)
        try:
            urgent.step()
        except ShotStreamError as fault:
            self._pause(urgent, str(fault))
        except Exception:
            urgent.failures += 1
            raise

    def occupied(self) -> Occupied:
        """What the films hold."""
        sessions = self._sessions.values()
        return Occupied(
            films=len(sessions),
            busy=sum(session.busy for session in sessions),
            queued=sum(len(session.film.queue) for session in sessions),
            cache_bytes=self.engine.cache_bytes(),
            disk_bytes=self.library.used(),
        )

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
        self.release()

    def release(self) -> None:
        """Let go of all films as they are on the disk."""
        for session in self._sessions.values():
            session.film.close()

    def _pause(self, session: Session, said: str) -> None:
        session.held = True
        session.forget()
        self._audience.tell(session.id, Notice(code="take_failed", text=said))
        self._audience.tell(session.id, session.view())

    def _opened(self, id: str, film: Film) -> Session:
        idle = [one for one in self._sessions if not self._sessions[one].busy and not self._audience.watched(one)]
        for old in idle[: max(0, len(self._sessions) - MOST_OPEN + 1)]:
            self._sessions.pop(old).film.close()
        self._sessions[id] = Session(id, film, self.library, self._audience, self._clock)
        return self._sessions[id]
