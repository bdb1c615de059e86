"""Whose block is made next, with a clock of our own: every film gets its turn, watched or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_rig import Painter

from shotstream.serving.broadcaster import Broadcaster, Outbox
from shotstream.serving.client_messages import Resume, Shoot, Stop
from shotstream.serving.command_handlers import carry_out
from shotstream.serving.library import Library
from shotstream.serving.session import RefusedError, Session
from shotstream.serving.studio import DRAFTS_APART, Studio


class Day:
    """A studio at work: every block takes ``block`` seconds."""

    def __init__(self, films: Path, block: float) -> None:
        self.now, self.block, self.broadcaster = 1000.0, block, Broadcaster(lambda: self.now)
        self.studio = Studio(Painter(), Library(films), self.broadcaster, lambda: self.now)

    def film(self, shots: int, *, watched: bool) -> Session:
        session = self.studio.create("a fox", 7)
        if watched:
            self.broadcaster.join(session.id, Outbox())
        for _ in range(shots):
            carry_out(session, Shoot(caption="it walks", seconds=1.3))
        return session

    def work(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            due = self.studio.due()
            self.now += self.block if due is not None and due <= self.now else 0.01
            if due is not None and due <= self.now:
                self.studio.step()


def frames(session: Session) -> int:
    return sum(take.frames for shot in session.view().shots for take in shot.takes)


@pytest.mark.parametrize("watched", [(True, True, True), (True, True, False), (True, False, False), (False,) * 3])
def test_too_much_work_is_shared(tmp_path: Path, watched: tuple[bool, ...]) -> None:
    day = Day(tmp_path, block=0.5)
    films = [day.film(20, watched=one) for one in watched]
    day.work(30)
    made = [frames(film) for film in films]
    assert min(made) > 0.8 * max(made)


def test_what_nobody_watches_gets_the_rest(tmp_path: Path) -> None:
    """A watched film is never late for it, and it is made as fast as the machine can."""
    day = Day(tmp_path, block=0.1)
    watched, unwatched = day.film(12, watched=True), day.film(20, watched=False)
    day.work(10)
    assert frames(watched) == pytest.approx(10 * 16, abs=24)
    assert frames(unwatched) > 1.5 * frames(watched)


def test_who_comes_to_a_film_made_ahead_does_not_wait_for_it(tmp_path: Path) -> None:
    day = Day(tmp_path, block=0.05)
    film = day.film(20, watched=False)
    day.work(5)
    assert film.view().queue == ()
    day.broadcaster.join(film.id, Outbox())
    carry_out(film, Shoot(caption="it sits", seconds=0.6))
    due = film.due()
    assert due is not None and due < day.now + 1


def test_drafts_are_read_when_there_is_nothing_to_make_and_not_too_often(tmp_path: Path) -> None:
    day = Day(tmp_path, block=0.1)
    idle, busy = day.film(0, watched=True), day.film(1, watched=True)
    read = day.studio.engine.read
    day.studio.read_ahead(idle.id, "it walks")  # the other film has a shot to make
    day.work(5)
    before = list(read)
    for draft in ("it", "it sits"):
        day.studio.read_ahead(idle.id, draft)  # the second comes too soon
    day.now += DRAFTS_APART
    day.studio.read_ahead(busy.id, "it sits down")
    assert read == [*before, "a fox it", "a fox it sits down"] and "a fox it walks" not in before
    with pytest.raises(RefusedError):
        day.studio.read_ahead("0" * 12, "it sits")


def counted(day: Day) -> list[float]:
    """Blocks that were due, those that were late, and the seconds that pictures stood still: what /metrics says."""
    page = day.broadcaster.metrics.page(viewers=0, ready=True, occupied=None).decode()
    names = ("deadlines_total", "deadlines_missed_total", "underrun_seconds_total")
    return [
        float(line.split()[1]) for name in names for line in page.splitlines() if line.startswith(f"shotstream_{name} ")
    ]


def test_a_film_that_keeps_time_misses_no_deadline(tmp_path: Path) -> None:
    day = Day(tmp_path, block=0.1)
    film = day.film(6, watched=True)
    day.work(12)
    meters = film.meters()
    assert (meters.due, meters.underruns, meters.stood_seconds) == (11, 0, 0)  # of twelve blocks, all but the first
    assert counted(day) == [11, 0, 0]
    day.work(60)  # nothing is asked for meanwhile: nothing is late
    carry_out(film, Shoot(caption="it sits", seconds=1.3))
    day.work(3)
    assert counted(day) == [12, 0, 0]


def test_a_film_that_is_made_too_slowly_stands_still_and_says_how_long(tmp_path: Path) -> None:
    day = Day(tmp_path, block=1.5)  # for the 0.6 and 0.75 seconds of a block
    film = day.film(3, watched=True)
    day.work(15)
    due, missed, stood = counted(day)
    meters = film.meters()
    assert (due, missed, stood) == (meters.due, meters.underruns, meters.stood_seconds)
    assert (
        due == 5 and missed >= 2 and stood > 1.5 * missed - 0.75 * missed
    )  # each late by a block's time, less its own
    day = Day(tmp_path / "unwatched", block=1.5)
    day.film(3, watched=False)
    day.work(15)
    assert counted(day) == [0, 0, 0]  # nobody saw it


def test_a_pause_is_no_underrun(tmp_path: Path) -> None:
    day = Day(tmp_path, block=0.1)
    film = day.film(2, watched=True)
    day.work(1)
    carry_out(film, Stop())
    day.work(30)
    carry_out(film, Resume())
    day.work(5)
    assert counted(day)[1] == 0
