"""Sizes that follow from each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry

WORLD = Geometry(width=256, height=160, spatial=16, latent_channels=48)
WAN = Geometry(width=832, height=480, spatial=8, latent_channels=16)


def test_the_papers_numbers() -> None:
    assert (WAN.latent_height, WAN.latent_width, WAN.tokens_per_frame) == (60, 104, 1560)
    assert WAN.shot_frames(7) == 81
    assert WAN.latent_frames(81) == 21


def test_shot_lengths_of_the_story_format() -> None:
    assert [WORLD.shot_frames(blocks) for blocks in range(1, 8)] == [9, 21, 33, 45, 57, 69, 81]
    assert WORLD.tokens_per_frame == 40
    assert WORLD.latent_shape == (48, 10, 16)


@given(blocks=st.integers(1, 7))
def test_a_shots_own_length_rounds_to_itself(blocks: int) -> None:
    assert WORLD.blocks_for(WORLD.shot_seconds(blocks)) == blocks
    assert WORLD.latent_frames(WORLD.shot_frames(blocks)) == blocks * WORLD.block_frames


@pytest.mark.parametrize("frames", [0, -3, 2, 12])
def test_lengths_that_are_no_clip_are_refused(frames: int) -> None:
    with pytest.raises(InputError, match=str(frames)):
        WORLD.latent_frames(frames)


def test_sizes_that_do_not_divide_name_both_numbers() -> None:
    with pytest.raises(ValidationError, match="width 250 is not a multiple of 32"):
        Geometry(width=250, height=160, spatial=16, latent_channels=48)


def test_other_sizes_are_of_whole_tokens() -> None:
    assert WAN.sized(480, 832).tokens_per_frame == WAN.tokens_per_frame
    assert (WAN.sized(512, 288).rows, WAN.sized(512, 288).columns) == (18, 32)
    for width, height in ((500, 288), (512, 290), (0, 288), (-16, 16)):
        with pytest.raises(InputError, match="must be multiples of 16; the nearest is"):
            WAN.sized(width, height)


def test_seconds_in_mid_shot_are_blocks_of_their_own() -> None:
    geometry = Geometry(width=64, height=32, spatial=8, latent_channels=4)
    assert [geometry.further_blocks(seconds) for seconds in (0, 0.1, 0.75, 1.2, 3)] == [0, 1, 1, 2, 4]
    assert geometry.further_blocks(geometry.further_seconds(5)) == 5
