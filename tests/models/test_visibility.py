"""The visibility rule and the attention plan made from it."""

from __future__ import annotations

import pytest

from shotstream.models.visibility import (
    Layout,
    block_causal,
    clean_and_noisy,
    clean_then_noisy,
    everything,
    next_shot,
    sees,
    segments,
)

LAYOUTS = [
    everything(5),
    next_shot(2, 4),
    block_causal(6, 9, 3),
    clean_and_noisy(2, 6, 3),
    clean_then_noisy(3, 3),
    block_causal(0, 4, 2),
]


def rows(layout: Layout) -> list[str]:
    """One string per query frame: x where it sees the key frame."""
    return ["".join("x" if sees(query, key) else "." for key in layout) for query in layout]


def test_condition_frames_see_only_each_other() -> None:
    assert rows(next_shot(2, 2)) == ["xx..", "xx..", "xxxx", "xxxx"]


def test_blocks_see_earlier_blocks_and_themselves() -> None:
    assert rows(block_causal(1, 4, 2)) == ["x....", "xxx..", "xxx..", "xxxxx", "xxxxx"]


def test_noisy_blocks_see_clean_history_but_not_their_own_clean_copy() -> None:
    assert rows(clean_and_noisy(1, 2, 1)) == ["x....", "xx...", "xxx..", "x..x.", "xx..x"]


def test_the_finished_block_does_not_see_the_next() -> None:
    assert rows(clean_then_noisy(1, 2)) == ["x..", "xxx", "xxx"]


def test_one_block_is_full_attention() -> None:
    assert set(rows(everything(3))) == {"xxx"}


@pytest.mark.parametrize("layout", LAYOUTS, ids=range(len(LAYOUTS)))
def test_segments_say_exactly_what_the_rule_says(layout: Layout) -> None:
    frames = range(len(layout))
    plan = segments(layout)
    assert [frame for segment in plan for frame in frames[segment.queries]] == list(frames)
    for segment in plan:
        seen = [frame for run in segment.keys for frame in frames[run]]
        for query in frames[segment.queries]:
            assert seen == [key for key in frames if sees(layout[query], layout[key])]
