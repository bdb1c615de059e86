"""Any sequence of commands: undone, the film is as before; replayed from its journal, it is the same film to the bit;
remade where it is stale, it is what its script makes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError
from shotstream.film.disk.folder import peek
from shotstream.film.film import Film
from shotstream.film.record.film_record import FilmRecord, ShotRecord
from shotstream.film.takes.engine import Engine
from shotstream.film.takes.take import Take

CAPTIONS = st.sampled_from(["It walks.", "It sits.", "It sleeps."])
SEEDS = st.none() | st.integers(0, 3)
PICKS = st.integers(0, 7)


@dataclass(frozen=True)
class Mark:
    """The film before one command; ``directs``: the running take it was about; ``made``: how many takes were then."""

    before: FilmRecord
    directs: int | None
    made: int


class EditMachine(RuleBasedStateMachine):
    """``engine`` paints every take as a pure function of prompt, noise and condition frames."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name) / "film"
        self.film = Film.new(self.engine, "A red fox.", 1, self.folder)
        self.made: list[int] = []  # takes, in the order in which they ended
        self.pictures: dict[int, np.ndarray] = {}
        self.marks: list[Mark] = []
        self.gone: list[Mark] = []  # undone
        self.checked: FilmRecord | None = None

    def teardown(self) -> None:
        self.film.close()
        self.scratch.cleanup()

    def command(self, do: Callable[[], Any], directs: int | None = None) -> Any:
        """Do it; refused or not, know what undo has to bring back."""
        before, mark = self.film.record, Mark(self.film.record, directs, len(self.made))
        try:
            done = do()
        except InputError:
            assert self.film.record is before
            return None
        if self.film.record is not before:
            self.marks.append(mark)
            self.gone.clear()
        return done

    def shot(self, pick: int) -> int:
        return pick % max(1, len(self.film.record.shots))

    def made_shot(self, pick: int) -> int:
        """A shot that has a choice, if there is one."""
        made = [index for index, shot in enumerate(self.film.record.shots) if shot.choice is not None]
        return made[pick % len(made)] if made else 0

    @initialize(shots=st.integers(1, 3), make=st.booleans(), again=st.booleans())
    def begin_with(self, shots: int, make: bool, again: bool) -> None:
        for at, caption in enumerate(("It walks.", "It sits.", "It sleeps.")[:shots]):
            self.insert(at, caption, None)
        if make:
            self.make_all()
        if make and again:
            self.retake(0, None)
            self.make_all()

    # edits

    @precondition(lambda self: len(self.film.record.shots) < 5)
    @rule(pick=PICKS, caption=CAPTIONS, seed=SEEDS)
    def insert(self, pick: int, caption: str, seed: int | None) -> None:
        at = pick % (len(self.film.record.shots) + 1)
        self.command(lambda: self.film.insert(at, caption, 0.5, seed))

    @precondition(lambda self: len(self.film.record.shots) < 5)
    @rule(pick=PICKS)
    def duplicate(self, pick: int) -> None:
        copy = self.command(lambda: self.film.duplicate(self.made_shot(pick)))
        if copy is not None and copy.state != "queued":
            self.pictures[copy.id] = self.film.shots[copy.shot - 1].chosen.frames

    @precondition(lambda self: len(self.film.record.shots) > 1)
    @rule(pick=PICKS)
    def delete(self, pick: int) -> None:
        self.command(lambda: self.film.delete(self.shot(pick)))

    @precondition(lambda self: len(self.film.record.shots) > 1)
    @rule(pick=PICKS, to=PICKS)
    def move(self, pick: int, to: int) -> None:
        self.command(lambda: self.film.move(self.shot(pick), self.shot(to)))

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, seed=SEEDS, caption=st.none() | CAPTIONS, seconds=st.sampled_from([None, 0.5, 1.3]))
    def retake(self, pick: int, seed: int | None, caption: str | None = None, seconds: float | None = None) -> None:
        shot = self.made_shot(pick)
        self.command(lambda: self.film.retake(shot, seed, caption=caption, seconds=seconds))

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, start=st.integers(0, 12), length=st.integers(0, 40))
    def trim(self, pick: int, start: int, length: int) -> None:
        take = self.film.shots[self.made_shot(pick)].chosen if self.film.shots else None
        if take is not None:
            self.command(lambda: self.film.trim(take, start, start + length))

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, frame=st.integers(0, 12), text=st.sampled_from(["wind", "a bell", " "]))
    def mark(self, pick: int, frame: int, text: str) -> None:
        take = self.film.shots[self.made_shot(pick)].chosen if self.film.shots else None
        if take is not None:
            self.command(lambda: self.film.mark(take, frame, text))

    @precondition(lambda self: self.film.queue)
    @rule(pick=PICKS, caption=st.none() | CAPTIONS, seconds=st.sampled_from([None, 0.5]), seed=SEEDS)
    def revise(self, pick: int, caption: str | None, seconds: float | None, seed: int | None) -> None:
        shot = self.film.queue[pick % len(self.film.queue)].shot
        self.command(lambda: self.film.revise(shot, caption, seconds, seed))

    @rule(story=st.sampled_from(["A red fox.", "A blue owl."]))
    def retell(self, story: str) -> None:
        self.command(lambda: self.film.retell(story))

    @rule(policy=st.sampled_from([None, "retrieval", "first-last", "recency"]))
    def set_context_policy(self, policy: PolicyName | None) -> None:
        self.command(lambda: self.film.set_context_policy(policy))

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, which=st.integers(0, 2))
    def choose(self, pick: int, which: int) -> None:
        shots = [index for index, shot in enumerate(self.film.record.shots) if len(shot.takes) > 1] or [0]
        self.command(lambda: self.film.choose(shots[pick % len(shots)], which))

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, lock=st.booleans())
    def lock(self, pick: int, lock: bool) -> None:
        self.command(lambda: (self.film.lock if lock else self.film.unlock)(self.made_shot(pick)))

    @precondition(lambda self: self.film.queue)
    @rule(pick=PICKS, all=st.booleans())
    def remove(self, pick: int, all: bool) -> None:
        queue = self.film.queue
        self.command(lambda: self.film.remove(*(queue if all else [queue[pick % len(queue)]])))

    @rule(name=st.sampled_from("abc"), pick=PICKS)
    def branch(self, name: str, pick: int) -> None:
        self.command(lambda: self.film.branch(name, self.shot(pick) - 1))

    @precondition(lambda self: self.film.record.others)
    @rule(name=st.sampled_from(["main", "a", "b", "c"]), drop=st.booleans())
    def switch_or_drop(self, name: str, drop: bool) -> None:
        self.command(lambda: (self.film.drop if drop else self.film.switch)(name))

    @precondition(lambda self: self.film.stale)
    @rule()
    def remake_stale(self) -> None:
        alone = not self.film.queue and self.film.running is None
        self.command(self.film.remake_stale)
        shots = self.film.record.shots
        assert all(shots[index].locked or shots[index].queued for index in self.film.stale)
        if alone:
            self.make_all()
            assert all(self.film.record.shots[index].locked for index in self.film.stale)

    # making

    @precondition(lambda self: self.film.queue and self.film.running is None)
    @rule()
    def begin(self) -> None:
        next(iter(self.film.queue[0]))

    @precondition(lambda self: self.film.running is not None)
    @rule(caption=CAPTIONS, extend=st.booleans())
    def direct(self, caption: str, extend: bool) -> None:
        take = self.film.running
        self.command(lambda: take.extend() if extend and take.blocks_made < 3 else take.change(caption), take.id)

    @precondition(lambda self: self.film.running is not None)
    @rule(cut=st.booleans())
    def end(self, cut: bool) -> None:
        take = self.film.running
        self.ended(take.cut() if cut else take.wait())

    @precondition(lambda self: self.film.running is None and self.film.queue)
    @rule()
    def make_all(self) -> None:
        while self.film.queue:
            self.ended(self.film.queue[0].wait())

    def ended(self, take: Take) -> None:
        assert self.film.shots[take.shot].chosen is take
        self.made.append(take.id)
        self.pictures[take.id] = take.frames
        self.marks = [mark for mark in self.marks if mark.directs != take.id]

    # history

    @rule()
    def undo(self) -> None:
        assert (self.film.undoable is None) == (not self.marks)
        if self.marks:
            now = self.film.record
            self.film.undo()
            mark = self.marks.pop()
            assert_same_script(self.film.record, mark.before, set(self.made[mark.made :]))
            self.gone.append(Mark(now, mark.directs, len(self.made)))

    @precondition(lambda self: self.gone)
    @rule()
    def redo(self) -> None:
        before = self.film.record
        self.film.redo()
        mark = self.gone.pop()
        assert_same_script(self.film.record, mark.before, set(self.made[mark.made :]))
        self.marks.append(Mark(before, mark.directs, len(self.made)))

    @precondition(lambda self: self.film.running is None)
    @rule()
    def undo_everything_and_redo_it(self) -> None:
        before, times = self.film.record, 0
        while self.film.undoable is not None:
            self.film.undo()
            times += 1
        assert (self.film.shots, [branch.name for branch in self.film.branches]) == ((), ["main"])
        for _ in range(times):
            self.film.redo()
        assert self.film.record == before

    @precondition(lambda self: self.film.running is None)
    @rule()
    def close_and_reopen(self) -> None:
        before, stale, queue = self.film.record, self.film.stale, [take.id for take in self.film.queue]
        kinds = (self.film.undoable, self.film.redoable)
        self.film.close()
        self.film = Film.reopen(self.engine, self.folder)
        assert self.film.repairs == ()
        assert (self.film.record, self.film.stale, [take.id for take in self.film.queue]) == (before, stale, queue)
        assert (self.film.undoable, self.film.redoable) == kinds
        for take in self.film.record.all_takes():
            if take.made:
                np.testing.assert_array_equal(self.film.store.frames(take), self.pictures[take.id])

    @invariant()
    def the_journal_is_the_film(self) -> None:
        assert peek(self.folder) == self.film.record

    @invariant()
    def the_record_is_plain_data(self) -> None:
        assert FilmRecord.model_validate_json(self.film.record.model_dump_json()) == self.film.record

    @invariant()
    def the_queue_can_be_made_in_its_order(self) -> None:
        shots = self.film.record.shots
        made = {index for index, shot in enumerate(shots) if shot.choice is not None}
        if self.film.running is not None:
            made.add(self.film.running.shot)
        for take in self.film.queue:
            assert set(range(take.shot)) <= made
            made.add(take.shot)
        assert len(made) == len(shots)

    @invariant()
    def a_film_without_stale_shots_is_what_its_script_makes(self) -> None:
        film = self.film
        if film.record == self.checked or film.queue or film.running or not film.shots or film.stale:
            return
        if any(take.changes or take.trim or take.state == "cut" for take in film.record.takes()):
            return  # a story has no way to say that
        self.checked = film.record
        story = film.story()
        twin = Film.new(self.engine, story.global_caption, story.seed, context_policy=story.context_policy)
        for shot in story.shots:
            twin.add(shot).wait()
        np.testing.assert_array_equal(np.stack(list(twin.frames())), np.stack(list(film.frames())))
        twin.close()


def assert_same_script(now: FilmRecord, before: FilmRecord, made_since: set[int]) -> None:
    """Equal but for what was made since then: facts stay."""
    assert [(one.id, one.name) for one in now.branches] == [(one.id, one.name) for one in before.branches]
    assert now.branch == before.branch
    for ours, theirs in zip(now.branches, before.branches, strict=True):
        for one, other in zip(ours.shots, theirs.shots, strict=True):
            assert_same_shot(one, other, made_since)


def assert_same_shot(now: ShotRecord, before: ShotRecord, made_since: set[int]) -> None:
    assert (now.caption, now.seed, now.locked) == (before.caption, before.seed, before.locked)
    assert [(take.id, take.seed) for take in now.takes] == [(take.id, take.seed) for take in before.takes]
    for ours, theirs in zip(now.takes, before.takes, strict=True):
        assert ours == theirs or ours.id in made_since or (not theirs.made and not ours.made)
    assert now.chosen == before.chosen or now.chosen in made_since
    assert now.blocks == before.blocks or made_since & {take.id for take in now.takes}


def test_any_sequence_of_edits(engine) -> None:
    EditMachine.engine = engine
    machine = type("Machine", (EditMachine,), {})
    machine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
    machine.TestCase().runTest()
