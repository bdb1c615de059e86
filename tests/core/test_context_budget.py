"""Which past frames are remembered: the recorded choices, and properties no policy may break."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from shotstream.core.context_budget import (
    POLICIES,
    PastShot,
    dynamic_sampling,
    named_references,
    reference_name,
)

GOLDEN = Path(__file__).parents[1] / "golden"
CAPTIONS = st.sampled_from(["a fox", "the bear", "a fox runs"])
PASTS = st.lists(st.builds(PastShot, st.integers(9, 81), CAPTIONS), max_size=12)


@pytest.mark.parametrize("name", ["parity_a", "parity_b", "parity_c"])
def test_shots_are_those_of_the_recording(name: str) -> None:
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    for shot in range(1, len(tensors["rollout/captions"])):
        chosen = dynamic_sampling([PastShot(33)] * shot, 6)
        assert [frame.shot for frame in chosen] == tensors[f"rollout/shot{shot}/shot_index"][:6].tolist()


def test_frames_are_spread_from_first_to_last() -> None:
    assert [frame.frame for frame in dynamic_sampling([PastShot(81)], 6)] == [0, 16, 32, 48, 64, 80]
    four = dynamic_sampling([PastShot(81), PastShot(33), PastShot(9), PastShot(21)], 6)
    assert four == ((0, 0), (1, 0), (2, 0), (2, 8), (3, 0), (3, 20))


@pytest.mark.parametrize("policy", POLICIES)
@given(past=PASTS, budget=st.integers(1, 8))
def test_every_policy_fills_the_budget_in_order_with_frames_that_exist(
    policy: str, past: list[PastShot], budget: int
) -> None:
    chosen = POLICIES[policy](past, budget, "the fox")
    assert len(chosen) == (budget if past else 0)
    assert list(chosen) == sorted(chosen)
    assert all(0 <= frame.frame < past[frame.shot].frames for frame in chosen)
    if past:
        assert chosen[-1].shot == len(past) - 1


@given(past=PASTS.filter(bool), budget=st.integers(1, 8))
def test_dynamic_sampling_shares_equally_and_the_latest_get_the_rest(past: list[PastShot], budget: int) -> None:
    shots = [frame.shot for frame in dynamic_sampling(past, budget)]
    counts = [shots.count(shot) for shot in sorted(set(shots))]
    assert counts == sorted(counts)
    assert counts[-1] - counts[0] <= 1
    assert sorted(set(shots)) == list(range(max(0, len(past) - budget), len(past)))


def test_first_and_end_frames_take_dynamic_samplings_shots_and_shares() -> None:
    past = [PastShot(33), PastShot(21), PastShot(9)]
    assert POLICIES["first-frames"](past, 7, "") == ((0, 0), (0, 0), (1, 0), (1, 0), (2, 0), (2, 0), (2, 0))
    assert POLICIES["end-frames"](past, 7, "") == ((0, 0), (0, 32), (1, 0), (1, 20), (2, 0), (2, 0), (2, 8))


def test_retrieval_finds_the_shot_that_only_speaks_of_the_same_and_covers_place_and_character() -> None:
    story = "Two friends in the snow. "
    told = ["The fox walks.", "In the forest, the bear sits.", "By the sea, the fox runs."] + ["The bear jumps."] * 20
    past = [PastShot(9, story + one) for one in told]
    chosen = {frame.shot for frame in POLICIES["retrieval"](past, 4, story + "Back in the forest, the fox waves.")}
    assert chosen == {0, 1, 2, 22}  # the opening, the forest, another shot of the fox, the latest
    assert {frame.shot for frame in dynamic_sampling(past, 4)} == {19, 20, 21, 22}


@given(past=PASTS.filter(bool), budget=st.integers(2, 8))
def test_retrieval_never_forgets_the_opening_and_remembers_as_many_shots_as_it_can(
    past: list[PastShot], budget: int
) -> None:
    shots = {frame.shot for frame in POLICIES["retrieval"](past, budget, "the fox")}
    assert {0, len(past) - 1} <= shots and len(shots) == min(len(past), budget)


def test_first_last_never_forgets_the_first_shot() -> None:
    chosen = POLICIES["first-last"]([PastShot(9)] * 40, 6, "")
    assert {frame.shot for frame in chosen} == {0, 39}


def test_prompts_name_pinned_pictures_by_the_words_before_their_colon() -> None:
    captions = [
        "the fox: a red fox",
        "An old owl: grey",
        "the owl: white",
        "no name",
        "the: x",
        "bear:",
        "砕: a red one",
    ]
    assert [reference_name(one) for one in captions] == ["the fox", "An old owl", "the owl", "", "", "", "砕"]
    assert named_references(captions, "The FOX meets the old owl.", 6) == [0, 1, 2]
    assert named_references(captions, "The fox meets the owl, an old one.", 2) == [1, 2]  # those that are named last
    assert named_references(captions, "foxes and bears; 砕", 6) == [6]
