"""When frames are shown, with a clock of our own."""

from __future__ import annotations

import numpy as np
import pytest

from shotstream.serving.frames import Picture, jpeg, pack, unpack
from shotstream.serving.hub import MOST_PICTURES, MOST_WAITING, Outbox
from shotstream.serving.pacing import LONGEST_LEAD, MAX_LATE, SHORTEST_LEAD, Lateness, Lead, Playhead
from shotstream.serving.protocol import Accepted
from shotstream.serving.session import Timed


def test_frames_are_a_sixteenth_apart_and_blocks_join() -> None:
    playhead = Playhead(16)
    first = playhead.schedule(9, now=5)
    second = playhead.schedule(12, now=5.1)  # made early: shown when the first block ends
    times = first + second
    assert times[0] == 5
    np.testing.assert_allclose(np.diff(times), 1 / 16)
    assert playhead.left(5.1) == pytest.approx(21 / 16 - 0.1)


def test_a_block_that_comes_late_is_shown_at_once_and_nothing_is_made_up_for() -> None:
    playhead = Playhead(16)
    playhead.schedule(9, now=0)
    assert playhead.schedule(12, now=3)[0] == 3
    assert playhead.left(10) == 0


def test_the_lead_follows_what_a_block_costs() -> None:
    lead = Lead()
    for cost, bound in ((0.0, SHORTEST_LEAD), (9.0, LONGEST_LEAD)):
        for _ in range(50):
            lead.measured(cost)
        assert lead.seconds == bound
    for _ in range(50):
        lead.measured(0.5)
    assert 0.5 < lead.seconds < 1


def test_a_slow_line_sees_fewer_frames_never_older_ones() -> None:
    """Every frame takes a tenth of a second to send; they are due every sixteenth."""
    line, now, sent = Lateness(), 0.0, []
    for index in range(160):
        due = index / 16
        wait = line.wait(due, now)
        if wait is None:
            continue
        now += wait + 0.1
        sent.append((due, now))
    assert line.dropped == 160 - len(sent) > 40
    assert max(now - due for due, now in sent) <= MAX_LATE + 0.1 + 1e-9


def test_an_outbox_is_bounded_both_ways() -> None:
    outbox = Outbox()
    for index in range(2 * MOST_PICTURES):
        outbox.put(Timed(0, Picture(0, index, 0, b"")))
    assert outbox.dropped == MOST_PICTURES
    for ref in range(MOST_WAITING):
        outbox.put(Accepted(ref=ref))
    assert not outbox.overrun.is_set()
    outbox.put(Accepted(ref=0))
    assert outbox.overrun.is_set()


def test_pictures_survive_the_wire() -> None:
    pictures = [
        Picture(3, frame, 2, jpeg(np.full((32, 64, 3), 40 * frame, np.uint8)), frame == 1) for frame in range(3)
    ]
    data = b"".join(map(pack, pictures))
    assert unpack(data) == pictures
    for damaged in (data[:-1], data[:10], b"XX" + data[2:]):
        with pytest.raises(ValueError):
            unpack(damaged)
