"""When frames are shown, with a clock of our own."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from shotstream.serving.broadcaster import (
    MOST_ENCODING,
    MOST_PICTURES,
    MOST_WAITING,
    BlockEncoder,
    EncodedBlock,
    LiveBlock,
    Outbox,
    PendingBlock,
)
from shotstream.serving.frames import Picture, jpeg, pack, unpack
from shotstream.serving.pacing import LONGEST_LEAD, MAX_LATE, SHORTEST_LEAD, Cadence, Lateness, Lead, Playhead
from shotstream.serving.protocol import Accepted


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


def test_a_late_piece_is_left_out_whole_and_an_early_one_is_sent_ahead() -> None:
    line = Lateness()
    assert line.wait(10, 9, frames=12, ahead=0.5) == 0.5
    assert line.wait(10, 9.9, frames=12, ahead=0.5) == 0
    assert line.wait(10, 10 + 2 * MAX_LATE, frames=12, ahead=0.5) is None
    assert line.dropped == 12


def test_the_press_encodes_once_per_kind_and_pixels_do_not_pile_up() -> None:
    gate, times = threading.Event(), iter(range(100))

    def clock() -> float:
        gate.wait(60)
        return next(times)

    encoder = BlockEncoder(clock)
    block = LiveBlock(take=3, shot=1, first=9, frames=np.zeros((12, 32, 64, 3), np.uint8), fps=16, due=0)
    encoded = [encoder.encode(block, kind) for kind in ("jpeg", "mp4") * (MOST_ENCODING // 2)]
    one_more = threading.Thread(target=encoder.encode, args=(block, "jpeg"))
    one_more.start()
    one_more.join(0.2)
    assert one_more.is_alive()  # it waits for room
    gate.set()
    one_more.join(60)
    assert not one_more.is_alive()
    frames, (piece,) = (one.result().pictures for one in encoded[:2])
    assert [one.frame for one in frames] == list(range(9, 21)) and {one.kind for one in frames} == {"jpeg"}
    assert (piece.kind, piece.frame, piece.frames, piece.take, piece.shot) == ("mp4", 9, 12, 3, 1)
    encoder.close()


def test_an_outbox_is_bounded_both_ways() -> None:
    outbox, encoded = Outbox(), Future[EncodedBlock]()
    taken = sum(outbox.put(PendingBlock("mp4", 12, 16, 0, encoded)) for _ in range(20))
    assert (taken, outbox.pictures, outbox.dropped) == (MOST_PICTURES // 12, 12 * taken, 12 * (20 - taken))
    for ref in range(MOST_WAITING):
        outbox.put(Accepted(ref=ref))
    assert not outbox.overrun.is_set()
    outbox.put(Accepted(ref=0))
    assert outbox.overrun.is_set()


def test_pictures_survive_the_wire() -> None:
    pictures = [
        Picture(3, frame, 2, jpeg(np.full((32, 64, 3), 40 * frame, np.uint8)), frame == 1) for frame in range(3)
    ]
    pictures.insert(1, Picture(3, 3, 2, b"a piece", live=True, kind="mp4", frames=12))
    data = b"".join(map(pack, pictures))
    assert unpack(data) == pictures
    for damaged in (data[:-1], data[:10], b"XX" + data[2:]):
        with pytest.raises(ValueError):
            unpack(damaged)


def test_cadence_counts_blocks_that_came_late_and_how_long_the_picture_stood() -> None:
    kept = Cadence()
    for late in (-0.2, 0.0, 0.5, -1.0, 0.25):
        kept.came(late)
    assert (kept.due, kept.missed, kept.stood) == (5, 2, 0.75)
