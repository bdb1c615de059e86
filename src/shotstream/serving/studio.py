"""All open films of one model. Everything here runs in the worker's thread."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Protocol

import torch

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.story import Story
from shotstream.film.disk.folder import FilmFolder
from shotstream.film.film import Film
from shotstream.film.takes.engine import Engine
from shotstream.serving.client_messages import Command, Steps
from shotstream.serving.command_handlers import carry_out
from shotstream.serving.library import FilmSummary, Library
from shotstream.serving.metrics import Occupied
from shotstream.serving.protocol import NO_FILM, Applied, Notice, Refused
from shotstream.serving.session import Audience, Clock, RefusedError, Session

MOST_OPEN = 32  # films in memory at once
MOST_OF_CLIENT = 16  # films of one client that are being made at once
DRAFTS_APART = 0.1  # seconds between captions that are read while they are typed, whoever types
MOST_FAILURES = 2  # of one take in a row before its film waits for a person
_log = logging.getLogger(__name__)


class StudioEngine(Engine, Protocol):
    """A model that can be warmed up and told how many steps to take, and asked about words and what its caches hold."""

    def warm_up(self) -> None: ...

    def known_words(self) -> frozenset[str]: ...

    def lost_words(self, prompt: str) -> list[str]: ...

    def cache_bytes(self) -> int: ...

    @property
    def steps(self) -> int | None: ...

    @property
    def most_steps(self) -> int | None: ...

    def sample_in(self, steps: int) -> None: ...


class Studio:
    """Opens films of ``library`` and makes what they ask for, the most urgent block first."""

    def __init__(self, engine: StudioEngine, library: Library, audience: Audience, clock: Clock) -> None:
        self.engine, self.library = engine, library
        self._audience, self._clock = audience, clock
        self._sessions: dict[str, Session] = {}
        self._read_at = -DRAFTS_APART
        self.made_a_take = False

    def create(
        self, global_caption: str, seed: int, context_policy: PolicyName | None = None, id: str | None = None
    ) -> Session:
        """A new film; ``id``: a new one, if somebody waits for the film. Raises :class:`InputError`,
        :class:`RefusedError`."""
        self._make_room()
        self.library.refuse_if_full()
        id = self.library.new_id() if id is None else id
        film = Film.new(self.engine, global_caption, seed, self.library.folder(id), context_policy=context_policy)
        return self._opened(id, film)

    def adopt(self, kept: FilmFolder) -> Session:
        """A film that was brought into the library. Raises :class:`RefusedError`; then it is still ``kept``'s."""
        self._make_room()
        session = self._opened(kept.folder.name, Film.from_folder(self.engine, kept))
        self.library.measure(session.id)
        return session

    def open_story(self, story: Story, client: str = "", id: str | None = None) -> Session:
        """A film with every shot of ``story`` queued, as :meth:`create` makes it."""
        self._refuse_beyond_share(client)
        session = self.create(story.global_caption, story.seed, story.context_policy, id)
        session.asked_by = client
        session.film.follow(story)
        for shot in story.shots:
            session.film.add(shot)
        return session

    def command(self, id: str, command: Command, client: str = "") -> Applied:
        """Let ``client`` change the film ``id``.

        Raises :class:`RefusedError`, :class:`InputError` or :class:`StorageError`; then nothing has changed.
        """
        session = self.session(id)
        if isinstance(command, Steps):
            self.engine.sample_in(command.steps)
            return Applied(ref=command.ref)
        if not session.busy:
            self._refuse_beyond_share(client)
            session.asked_by = client
        take, running = carry_out(session, command), session.film.running
        block = None if running is None else running.blocks_made
        return Applied(ref=command.ref, take=take, block=block)

    def _refuse_beyond_share(self, client: str) -> None:
        mine = sum(one.busy and one.asked_by == client for one in self._sessions.values())
        if mine >= MOST_OF_CLIENT:
            raise RefusedError("busy", f"{mine} of your films are being made; wait until one is done")

    def session(self, id: str) -> Session:
        """The film ``id``, opened if it is not. Raises :class:`RefusedError` if there is none."""
        if id not in self._sessions:
            if not self.library.has(id):
                raise RefusedError("no_such_film", "there is no such film")
            self._make_room()
            film = Film.reopen(self.engine, self.library.folder(id))
            self._opened(id, film)
            for said in film.repairs:
                _log.warning("film %s: %s", id, said)
                self._audience.tell(id, Notice(code="repaired", text=said))
        return self._sessions[id]

    def rename(self, id: str, name: str) -> None:
        """Name film ``id``. Raises :class:`RefusedError`, :class:`InputError`."""
        self._refuse_unknown(id)
        self.library.rename(id, name)
        if id in self._sessions:
            self._audience.tell(id, self._sessions[id].view())

    def copy(self, id: str) -> FilmSummary:
        """A copy of film ``id``. Raises :class:`RefusedError`, :class:`StorageError`."""
        self._refuse_unknown(id)
        return self.library.copy(id)

    def delete(self, id: str) -> None:
        """Delete film ``id`` for good, and tell its viewers. Raises :class:`RefusedError`."""
        self._refuse_unknown(id)
        if id in self._sessions:
            self._close(id)
        self.library.delete(id)
        self._audience.tell(id, Refused(code=NO_FILM, text="the film was deleted"))

    def _refuse_unknown(self, id: str) -> None:
        if not self.library.has(id):
            raise RefusedError(NO_FILM, "there is no such film")

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
            self.made_a_take |= urgent.step()
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
            threads=torch.get_num_threads(),
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
        self.library.published.clear()

    def _pause(self, session: Session, said: str) -> None:
        session.fault = said
        session.forget()
        self._audience.tell(session.id, Notice(code="take_failed", text=said))
        self._audience.tell(session.id, session.view())

    def _close(self, id: str) -> None:
        self._sessions.pop(id).film.close()
        self.library.published.pop(id, None)

    def _make_room(self) -> None:
        """Close films that nobody needs, if another one could not be opened. Raises :class:`RefusedError`."""
        idle = [one for one in self._sessions if not self._sessions[one].busy and not self._audience.watched(one)]
        excess = len(self._sessions) - MOST_OPEN + 1
        if excess > len(idle):
            said = f"{MOST_OPEN} films are watched or being made; wait until one is done"
            raise RefusedError("busy", said)
        for old in idle[: max(0, excess)]:
            self._close(old)

    def _opened(self, id: str, film: Film) -> Session:
        self._sessions[id] = Session(id, film, self.library, self._audience, self._clock)
        return self._sessions[id]
