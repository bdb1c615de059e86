"""Any sequence of commands: the film stays what its script says, and closing it in between changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shotstream.core.errors import InputError
from shotstream.film.film import Film
from shotstream.film.record.film_record import FilmRecord
from shotstream.film.takes.engine import Engine
from shotstream.film.takes.take import Take

CAPTIONS = st.sampled_from(["It walks.", "It sits.", "It sleeps."])
SEEDS = st.none() | st.integers(0, 3)
PICKS = st.integers(0, 7)


class FilmMachine(RuleBasedStateMachine):
    """``engine`` paints every take as a pure function of prompt, noise and condition frames."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.film = Film.new(self.engine, "A red fox.", seed=1)
        self.shown: dict[int, np.ndarray] = {}  # what a viewer saw of each take
        self.checked: FilmRecord | None = None

    def teardown(self) -> None:
        self.film.close()

    @property
    def running(self) -> Take | None:
        takes = (take for shot in self.film.shots for take in shot.takes)
        return next((take for take in takes if take.state == "running"), None)

    @property
    def made(self) -> list[int]:
        return [shot.index for shot in self.film.shots if shot.chosen is not None]

    def perhaps_make(self, take: Take, now: bool) -> None:
        assert take.state == "queued"
        if now and self.running is None and take.shot <= len(self.made):
            assert take.wait().state == "finished"

    @precondition(lambda self: len(self.film.shots) < 4)
    @rule(caption=CAPTIONS, seed=SEEDS, now=st.booleans())
    def shot(self, caption: str, seed: int | None, now: bool) -> None:
        self.perhaps_make(self.film.shot(caption, seconds=1, seed=seed), now)

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, seed=SEEDS, now=st.booleans())
    def retake(self, pick: int, seed: int | None, now: bool) -> None:
        self.perhaps_make(self.film.retake(self.made[pick % len(self.made)], seed), now)

    @precondition(lambda self: self.made)
    @rule(pick=PICKS, now=st.booleans())
    def remake(self, pick: int, now: bool) -> None:
        self.perhaps_make(self.film.remake(self.made[pick % len(self.made)]), now)

    @precondition(lambda self: self.film.shots)
    @rule(pick=PICKS, which=PICKS, blocks=st.integers(1, 3))
    def watch(self, pick: int, which: int, blocks: int) -> None:
        """Look at up to ``blocks`` blocks of any take; it may not be its turn."""
        shot = self.film.shots[pick % len(self.film.shots)]
        take = shot.takes[which % len(shot.takes)]
        allowed = take.state in ("finished", "cut", "running") or (
            self.running is None and all(one.chosen for one in self.film.shots[: shot.index])
        )
        seen = []
        try:
            for block in take:
                seen.append(block.frames)
                if len(seen) == blocks:
                    break
        except InputError:
            assert not allowed
            return
        assert allowed
        before = self.shown.setdefault(take.id, seen[0])
        np.testing.assert_array_equal(seen[0], before)

    @precondition(lambda self: self.running is not None)
    @rule(cut=st.booleans())
    def end(self, cut: bool) -> None:
        take = self.running
        assert take is not None
        assert (take.cut() if cut else take.wait()).state == ("cut" if cut else "finished")
        assert self.film.shots[take.shot].chosen is take

    @precondition(lambda self: self.film.shots)
    @rule(pick=PICKS, which=PICKS)
    def choose(self, pick: int, which: int) -> None:
        shot = self.film.shots[pick % len(self.film.shots)]
        take = shot.takes[which % len(shot.takes)]
        if take.state in ("queued", "running"):
            with pytest.raises(InputError):
                self.film.choose(shot.index, take)
        else:
            self.film.choose(shot.index, take)
            assert self.film.shots[shot.index].chosen is take

    @precondition(lambda self: self.running is None)
    @rule()
    def close_and_reopen(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.film.save(Path(folder) / "a.film")
            again = Film.reopen(self.engine, Path(folder) / "a.film")
        assert again.record == self.film.record
        assert again.stale == self.film.stale
        self.film.close()
        self.film = again

    @invariant()
    def the_record_is_plain_data(self) -> None:
        assert FilmRecord.model_validate_json(self.film.record.model_dump_json()) == self.film.record

    @invariant()
    def a_film_without_stale_shots_is_what_its_script_makes(self) -> None:
        if self.film.record == self.checked or self.running is not None or len(self.made) < 2 or self.film.stale:
            return
        self.checked = self.film.record
        story = self.film.story()
        twin = Film.new(self.engine, story.global_caption, story.seed)
        for shot in story.shots[: len(self.made)]:
            twin.shot(shot.caption, shot.seconds, shot.seed).wait()
        np.testing.assert_array_equal(np.stack(list(twin.frames())), np.stack(list(self.film.frames())))
        twin.close()


def test_any_sequence_of_commands(engine):
    FilmMachine.engine = engine
    machine = type("Machine", (FilmMachine,), {})
    machine.TestCase.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
    machine.TestCase().runTest()
