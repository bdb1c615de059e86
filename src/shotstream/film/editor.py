"""The commands of a film. Each becomes one event: on the disk first, then in the film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.film.disk.folder import Ledger, NullLedger
from shotstream.film.disk.own_material import WHOLE, ClipPart, cut_clip, take_picture
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.disk.store import TakeStore
from shotstream.film.record import commands
from shotstream.film.record.commands import OwnFootage
from shotstream.film.record.events import Event, Paused, Queued, Redone, Undone
from shotstream.film.record.film_record import FilmRecord, Reference, TakeRecord, queue_order
from shotstream.film.record.history import History, fresh_start
from shotstream.film.record.script import checked_shot
from shotstream.film.takes.context import Staleness
from shotstream.film.takes.engine import Engine
from shotstream.film.takes.maker import Maker
from shotstream.film.takes.take import Take


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
        self.ledger = ledger or NullLedger()
        self._takes: dict[int, Take] = {}
        self._staleness = Staleness(store, engine)
        self._queue: tuple[FilmRecord | None, list[int]] = (None, [])

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
    def context_policy(self) -> PolicyName | None:
        """The policy that chooses condition frames; None: the model's own."""
        return self.record.context_policy

    @property
    def paused(self) -> bool:
        """Whether the queue is held. Undo does not change it."""
        return self._history.paused

    @property
    def references(self) -> tuple[Reference, ...]:
        """The reference images."""
        return self.record.references

    @property
    def running(self) -> Take | None:
        """The take that is being made."""
        return None if self.maker.running is None else self.take(self.maker.running.take.id)

    @property
    def queue(self) -> tuple[Take, ...]:
        """Queued takes, in the order in which they can be made."""
        if self._queue[0] is not self.record:
            self._queue = self.record, queue_order(self.record)
        running = None if self.running is None else self.running.id
        return tuple(self.take(id) for id in self._queue[1] if id != running)

    @property
    def stale(self) -> tuple[int, ...]:
        """Shots whose chosen take was conditioned on frames that are no longer in the film, or was made under another
        global caption; in film order."""
        return self._staleness.of(self.record)

    def take(self, id: int) -> Take:
        """The handle of the take with this id: always the same object."""
        return self._takes.setdefault(id, Take(self.maker, id))

    # shots

    def shot(
        self,
        caption: str,
        seconds: float | None = None,
        seed: int | None = None,
        lora: Mapping[str, float] | None = None,
        *,
        endless: bool = False,
    ) -> Take:
        """Add a shot at the end; returns its first take, queued.

        seconds: 0.3 to 60, rounded to whole blocks; None is the preset's usual length. seed: of the take's
        noise; None derives it from the film's. lora: LoRA adapters of this shot and their weights, by name; None: those
        of the film (:meth:`set_lora`). endless: it goes on for at least ``seconds``, until it is cut, another take
        waits, or it is five minutes long.
        """
        return self.insert(len(self.record.shots), caption, seconds, seed, lora, endless=endless)

    def add(self, shot: Shot) -> Take:
        """Add a shot of a story at the end; returns its first take: queued, or made if it is of one's own clip."""
        if shot.clip is not None:
            part = ClipPart(start=shot.clip.start, stop=shot.clip.stop, cuts=False, seconds=shot.seconds)
            return self.place(shot.clip.file, shot.caption, part=part)[0]
        return self._insert(len(self.record.shots), shot)

    def insert(
        self,
        at: int,
        caption: str,
        seconds: float | None = None,
        seed: int | None = None,
        lora: Mapping[str, float] | None = None,
        *,
        endless: bool = False,
    ) -> Take:
        """Put a new shot in before shot ``at``; returns its first take, queued. It makes later shots stale."""
        return self._insert(at, checked_shot(at, caption, seconds, seed, lora, endless))

    def place(
        self, path: str | Path, caption: str | Sequence[str], *, at: int | None = None, part: ClipPart = WHOLE
    ) -> tuple[Take, ...]:
        """Put a clip or picture of your own in before shot ``at`` (None: at the end); returns its made takes.

        caption: what is seen, which later shots read with its frames; one for all shots of the clip, or one for each.
        part: a stretch of it, as one shot, or how long a picture is shown (:class:`ClipPart`); usually, every shot
        becomes one here. Later shots are conditioned on it as on any other.
        """
        self.ledger.refuse_if_closed()
        with ScratchFolder(self.store.folder) as folder:
            return self.place_footage(Path(path).name, cut_clip(Path(path), folder, self.geometry, part), caption, at)

    def place_footage(
        self, source: str, pieces: Sequence[OwnFootage], caption: str | Sequence[str], at: int | None = None
    ) -> tuple[Take, ...]:
        """:meth:`place` what was read from the file ``source`` already; its files become the film's."""
        captions = [caption] if isinstance(caption, str) else caption
        end = len(self.record.shots)
        event = commands.place(self._history, end if at is None else at, source, pieces, captions)
        takes = [take for shot in event.shots for take in shot.takes]
        self._adopt(event, {take.id: piece for take, piece in zip(takes, pieces, strict=True)})
        return tuple(self.take(take.id) for take in takes)

    def pin(self, path: str | Path, caption: str) -> Reference:
        """Condition every shot whose prompt names it on a reference image of one character or place.

        caption: its name, a colon, and what is seen (``the fox: a red fox with a blue hat``), which is read with it.
        At most half of a shot's condition frames are reference images, those that its prompt names last. Made shots
        that it would have conditioned are stale.
        """
        self.ledger.refuse_if_closed()
        with ScratchFolder(self.store.folder) as folder:
            return self.pin_footage(Path(path).name, take_picture(Path(path), folder, self.geometry), caption)

    def pin_footage(self, source: str, picture: OwnFootage, caption: str) -> Reference:
        """:meth:`pin` what was read from the file ``source`` already; its file becomes the film's."""
        event = commands.pin(self._history, source, picture, caption)
        self._adopt(event, {event.reference.picture.id: picture})
        return event.reference

    def unpin(self, name: str | int) -> None:
        """Unpin the reference image called ``name``, or with this id."""
        self.do(commands.unpin(self.record, name))

    def duplicate(self, shot: int) -> Take:
        """A copy of ``shot`` right behind it: its chosen take with the same footage, to be remade if need be."""
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

    def retake(
        self,
        shot: int,
        seed: int | None = None,
        *,
        caption: str | None = None,
        seconds: float | None = None,
        lora: Mapping[str, float] | None = None,
    ) -> Take:
        """Queue another take of ``shot`` with a new seed. Once made it is the chosen one; the old one is kept.

        caption, seconds: another caption or length (0.3 to 60) for this take; None keeps the chosen take's.
        lora: other adapters; None: the shot's. Later shots that were conditioned on the old take are stale then.
        """
        return self._enqueue(commands.retake(self._history, self.geometry, shot, seed, caption, seconds, lora))[0]

    def revise(
        self, shot: int, caption: str | None = None, seconds: float | None = None, seed: int | None = None
    ) -> None:
        """Another caption, length or seed for the queued take of ``shot``; None leaves each as it is."""
        event = commands.revise(self.record, self.geometry, shot, caption, seconds, seed)
        if self.running is not None and self.running.id == event.take.id:
            raise InputError(f"shot {shot} is being made; change it as it runs, or retake it when it is made")
        self.do(event)

    def retell(self, global_caption: str) -> None:
        """Give the film another global caption. Finished shots stay, and are stale."""
        event = commands.retell(global_caption)
        if event.global_caption != self.record.global_caption:
            self.do(event)

    def set_context_policy(self, policy: PolicyName | None) -> None:
        """Let condition frames be chosen by ``policy`` from now on, such as ``retrieval``; None: as the model does.

        Finished shots stay; those that would now be conditioned on other frames are stale.
        """
        event = commands.set_context_policy(policy)
        if event.policy != self.record.context_policy:
            self.do(event)

    def set_lora(self, lora: Mapping[str, float] | None) -> None:
        """Make takes to come with these LoRA adapters, by name, each with its weight (1: as it was trained); None: with
        all that are loaded (:meth:`shotstream.Director.load_lora`). Shots that say their own keep to it."""
        event = commands.set_lora(lora)
        if event.lora != self.record.lora:
            self.do(event)

    def follow(self, story: Story) -> None:
        """Take over what ``story`` says of the whole film: reference images, adapters."""
        for one in story.references or ():
            self.pin(one.picture, one.caption)
        if story.lora is not None:
            self.set_lora(story.lora)

    def remake(self, shot: int) -> Take:
        """Queue the chosen take of ``shot`` again: its own seed, conditioned on the earlier shots as they are now."""
        return self._enqueue(commands.remake(self._history, [shot]))[0]

    def remake_stale(self) -> tuple[Take, ...]:
        """:meth:`remake` for every stale shot, in film order, except locked ones and those with a queued take.

        Returns the queued takes. Once they are made, only the exceptions may still be stale.
        """
        shots = self.record.shots
        stale = [index for index in self.stale if not shots[index].locked and not shots[index].queued]
        return self._enqueue(commands.remake(self._history, stale)) if stale else ()

    def choose(self, shot: int, take: int | Take) -> None:
        """Make ``take`` (its place among the shot's takes, from 0, or the take) the chosen one."""
        found = self._take_of(shot, take)
        event = commands.choose(self.record, shot, found)
        if self.record.shots[shot].chosen != found.id:
            self.do(event)

    def remove(self, *takes: Take) -> None:
        """Take queued takes out of the queue, and shots that have no other. One :meth:`undo` brings all back."""
        if self.running in takes:
            raise InputError(f"take {self.running.id} of shot {self.running.shot} is running; stop it first")
        if takes:
            self.do(commands.remove(self.record, *(take.id for take in takes)))

    def trim(self, take: Take, start: int = 0, stop: int | None = None) -> None:
        """Let only frames ``start`` to ``stop`` (without that one; None: the end) of a made ``take`` be in the film.

        Only what is shown and exported changes: later shots are conditioned on the whole take, and are not stale.
        """
        event = commands.trim(self.record, take.id, start, take.frame_count if stop is None else stop)
        if take.record.trim != event.trim:
            self.do(event)

    def mark(self, take: Take, frame: int, text: str) -> None:
        """A note of 1 to 80 characters at ``frame`` of a made ``take``, instead of the one there; blank: none."""
        event = commands.mark(self.record, take.id, frame, text)
        if take.record.markers != event.markers:
            self.do(event)

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
        """Start nothing more from the queue; the running take goes on to its end."""
        if not self.paused:
            self.do(Paused(paused=True))

    def resume(self) -> None:
        """Go on with the queue."""
        if self.paused:
            self.do(Paused(paused=False))

    def clean(self, *, unchosen: bool = False) -> int:
        """Forget what undo and redo would need, and remove footage that is in no branch; returns the bytes freed.

        unchosen: remove takes that are not chosen, too. Queued takes stay queued.
        """
        founded = fresh_start(self._history, unchosen=unchosen)
        self.ledger.restart(founded)
        self._history = History(founded)
        return self.store.keep_only(self._history.footage)

    def do(self, event: Event) -> None:
        """Check ``event``, write it down, then apply it."""
        self._history.check(event)
        self.ledger.write(event)
        self._history.add(event)
        self.maker.settle()

    def _adopt(self, event: Event, footage: Mapping[int, OwnFootage]) -> None:
        """Let footage that is written already become the film's, then ``event`` happen; or neither."""
        self.ledger.refuse_if_closed()
        self._history.check(event)
        for id, piece in footage.items():
            self.store.adopt(id, piece.file)
        self.do(event)

    def _insert(self, at: int, shot: Shot) -> Take:
        event = commands.insert(self._history, self.geometry, at, shot)
        self.do(event)
        return self.take(event.shot.takes[0].id)

    def _enqueue(self, event: Queued) -> tuple[Take, ...]:
        self.do(event)
        return tuple(self.take(queued.take.id) for queued in event.takes)

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
