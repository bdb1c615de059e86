"""What a person may do to a film. Every command is one event: on the disk first, then in the film."""

from __future__ import annotations

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.film import commands
from shotstream.film.cleaning import fresh_start
from shotstream.film.engine import Engine
from shotstream.film.events import Event, Paused, Planned, Redone, Undone
from shotstream.film.folder import Ledger, NoLedger
from shotstream.film.history import History
from shotstream.film.making import Maker
from shotstream.film.memory import Staleness
from shotstream.film.record import FilmRecord, TakeRecord
from shotstream.film.store import TakeStore
from shotstream.film.take import Take
from shotstream.film.turns import in_turn


class Editor:
    """A film's commands. ``ledger``: where every event is written before it counts.

    Indices of shots count from 0; a command that cannot be done raises :class:`InputError` and changes nothing, as
    does one that cannot be written down (:class:`StorageError`). Commands may come while a take is being made; if its
    shot goes, so does the take.
    """

    def __init__(self, engine: Engine, history: History, store: TakeStore, ledger: Ledger | None = None) -> None:
        self.engine, self.store = engine, store
        self.maker = Maker(self)
        self._history = history
        self.ledger = ledger or NoLedger()
        self._takes: dict[int, Take] = {}
        self._staleness = Staleness(store, engine)
        self._turns: tuple[FilmRecord | None, list[int]] = (None, [])

    @property
    def record(self) -> FilmRecord:
        """Everything the film is but its pixels."""
        return self._history.record

    @property
    def geometry(self) -> Geometry:
        return self.engine.geometry

    @property
    def global_caption(self) -> str:
        return self.record.global_caption

    @property
    def paused(self) -> bool:
        """Is the queue held? Not something that undo changes."""
        return self._history.paused

    @property
    def running(self) -> Take | None:
        """The take that is being made."""
        return None if self.maker.running is None else self.maker.running.take

    @property
    def queue(self) -> tuple[Take, ...]:
        """Planned takes, in the order in which they can be made."""
        if self._turns[0] is not self.record:
            self._turns = self.record, in_turn(self.record)
        running = None if self.running is None else self.running.id
        return tuple(self.take(id) for id in self._turns[1] if id != running)

    @property
    def stale(self) -> tuple[int, ...]:
        """Shots whose chosen take remembers frames that are no longer in the film; in film order."""
        return self._staleness.of(self.record)

    def take(self, id: int) -> Take:
        """The handle of the take with this id: always the same object."""
        return self._takes.setdefault(id, Take(self, id))

    # shots

    def shot(self, caption: str, seconds: float | None = None, seed: int | None = None) -> Take:
        """Add a shot at the end; returns its first take, planned.

        seconds: 0.3 to 5.5, rounded to whole blocks; None is the preset's usual length. seed: names the take's
        noise; None derives it from the film's.
        """
        return self.insert(len(self.record.shots), caption, seconds, seed)

    def insert(self, at: int, caption: str, seconds: float | None = None, seed: int | None = None) -> Take:
        """Put a new shot in before shot ``at``; returns its first take, planned. Made, it makes later shots stale."""
        event = commands.insert(self._history, self.geometry, at, caption, seconds, seed)
        self.do(event)
        return self.take(event.shot.takes[0].id)

    def duplicate(self, shot: int) -> Take:
        """A copy of ``shot`` right behind it: its chosen take with the same pictures, to be remade if need be."""
        event = commands.duplicate(self._history, shot)
        self.do(event)
        return self.take(event.shot.takes[0].id)

    def delete(self, shot: int) -> None:
        """Take ``shot`` and all its takes out of the film."""
        self.do(commands.delete(self.record, shot))

    def move(self, shot: int, to: int) -> None:
        """Make ``shot`` shot number ``to``; the others close ranks."""
        event = commands.move(self.record, shot, to)
        if shot != to:
            self.do(event)

    def lock(self, shot: int) -> None:
        """Let ``shot``, which is made, stay as it is: no new takes, no other choice, no deletion. It may move."""
        self._set_lock(shot, True)

    def unlock(self, shot: int) -> None:
        """Let ``shot`` be changed again."""
        self._set_lock(shot, False)

    # takes

    def retake(self, shot: int, seed: int | None = None) -> Take:
        """Another take of ``shot``, planned, with noise of its own; made, it becomes the choice and the old is kept.

        Later shots that saw the old choice are stale then.
        """
        return self._plan(commands.retake(self._history, shot, seed))[0]

    def remake(self, shot: int) -> Take:
        """The chosen take of ``shot`` again, planned: its own noise, under what the film's earlier shots are now."""
        return self._plan(commands.remake(self._history, [shot]))[0]

    def remake_stale(self) -> tuple[Take, ...]:
        """:meth:`remake` for every stale shot, in film order, but for locked ones and those that have a take planned.

        Returns the planned takes; made, they leave no shot stale that was neither.
        """
        shots = self.record.shots
        stale = [index for index in self.stale if not shots[index].locked and not shots[index].planned]
        return self._plan(commands.remake(self._history, stale)) if stale else ()

    def choose(self, shot: int, take: int | Take) -> None:
        """Make ``take`` (its place among the shot's takes, from 0, or the take) the one that is in the film."""
        found = self._take_of(shot, take)
        event = commands.choose(self.record, shot, found)
        if self.record.shots[shot].chosen != found.id:
            self.do(event)

    def remove(self, take: Take) -> None:
        """Take a planned take out of the queue, and its shot, if it has no other."""
        if take is self.running:
            raise InputError(f"take {take.id} of shot {take.shot} is running; stop it first")
        self.do(commands.remove(self.record, take.id))

    # branches

    def branch(self, name: str, after: int) -> None:
        """Begin branch ``name`` behind shot ``after`` (-1: at the very start), and go on there.

        Both branches have the shots up to then in common; the takes they share are stored once.
        """
        self.do(commands.branch(self._history, name, after))

    def switch(self, name: str) -> None:
        """Go on along branch ``name``."""
        self.do(commands.switch(self.record, name))

    def drop(self, name: str) -> None:
        """Remove branch ``name``, which the film is not on."""
        self.do(commands.drop(self.record, name))

    # history and queue

    @property
    def undoable(self) -> str | None:
        """The kind of event that :meth:`undo` would take back (``insert``, ``move``, ...); None if there is none."""
        event = self._history.undoable
        return None if event is None else event.type

    @property
    def redoable(self) -> str | None:
        """The kind of event that :meth:`redo` would bring back."""
        event = self._history.redoable
        return None if event is None else event.type

    def undo(self) -> None:
        """Take back the latest command. Takes that were made meanwhile stay made; redo brings back those that go."""
        self.do(Undone())

    def redo(self) -> None:
        """Do again what was undone last."""
        self.do(Redone())

    def pause(self) -> None:
        """Begin nothing more from the queue; the running take goes on to its end."""
        if not self.paused:
            self.do(Paused(paused=True))

    def resume(self) -> None:
        """Go on with the queue."""
        if self.paused:
            self.do(Paused(paused=False))

    def clean(self, *, unchosen: bool = False) -> int:
        """Forget what undo and redo would need, and remove footage that is in no branch; returns the bytes freed.

        unchosen: remove takes that are not chosen, too. What is planned stays planned.
        """
        founded = fresh_start(self._history, unchosen=unchosen)
        self.ledger.restart(founded)
        self._history = History(founded)
        return self.store.keep_only(self._history.footage)

    def do(self, event: Event) -> None:
        """Let ``event`` happen: checked, written down, then so."""
        self._history.check(event)
        self.ledger.write(event)
        self._history.add(event)
        self.maker.settle()

    def _plan(self, event: Planned) -> tuple[Take, ...]:
        self.do(event)
        return tuple(self.take(planned.take.id) for planned in event.takes)

    def _set_lock(self, shot: int, locked: bool) -> None:
        event = commands.lock(self.record, shot, locked)
        if self.record.shots[shot].locked != locked:
            self.do(event)

    def _take_of(self, shot: int, take: int | Take) -> TakeRecord:
        takes = self.record.shot(shot).takes
        if isinstance(take, Take):
            found = next((one for one in takes if one.id == take.id and take is self.take(one.id)), None)
        else:
            found = takes[take] if 0 <= take < len(takes) else None
        if found is None:
            raise InputError(f"shot {shot} has {len(takes)} takes, counted from 0; {take!r} is none of them")
        return found
