"""The director: blocks leave as they are made, plans change while they play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from shotstream.codecs.protocols import TextEncoder
from shotstream.core.geometry import Geometry
from shotstream.core.story import full_prompt
from shotstream.families.preset import SamplerSettings
from shotstream.sampling.block import Block
from shotstream.sampling.context import FinishedShot
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest


def plan(blocks: int = 2, prompt: str = "a fox", seed: int = 7) -> ShotRequest:
    return ShotRequest(prompt=prompt, blocks=blocks, noise=NamedNoise(seed, shot=2))


def shoot(director: ShotGenerator, wanted: ShotRequest, past: Sequence[FinishedShot] = ()) -> Iterator[Block]:
    return director.shot(wanted, director.context.choose(past, wanted.prompt))


def film(director: ShotGenerator, wanted: ShotRequest, past: Sequence[FinishedShot] = ()) -> np.ndarray:
    return np.concatenate([block.frames for block in shoot(director, wanted, past)])


def test_blocks_are_whole_pictures_of_the_right_length(
    director: ShotGenerator, past: list[FinishedShot], geometry: Geometry
) -> None:
    blocks = list(shoot(director, plan(3), past))
    assert [block.index for block in blocks] == [0, 1, 2]
    assert [len(block.frames) for block in blocks] == [9, 12, 12]
    assert blocks[0].frames.dtype == np.uint8 and blocks[0].frames.shape[1:] == (geometry.height, geometry.width, 3)


def test_the_same_take_is_the_same_to_the_bit_and_nothing_else_is(
    director: ShotGenerator, past: list[FinishedShot]
) -> None:
    first = film(director, plan(), past)
    assert np.array_equal(first, film(director, plan(), past))
    assert np.array_equal(first, film(director, plan(3), past)[:21])
    for other in (
        film(director, plan(seed=8), past),
        film(director, plan(prompt="bear"), past),
        film(director, plan(), []),
    ):
        assert not np.array_equal(first, other)


def test_a_prepared_context_makes_the_same_shot(director: ShotGenerator, past: list[FinishedShot]) -> None:
    context = director.context.choose(past, "whatever comes next")
    blocks = [block.frames for block in director.shot(plan(), context, director.prepare(context))]
    assert np.array_equal(np.concatenate(blocks), film(director, plan(), past))


def test_a_cut_acts_at_the_next_block_and_an_extension_too(director: ShotGenerator, past: list[FinishedShot]) -> None:
    cut = plan(4)
    made = []
    for block in shoot(director, cut, past):
        made.append(block.index)
        cut.cut()
    assert made == [0]
    longer = plan(1)
    count = 0
    for _ in shoot(director, longer, past):
        count += 1
        longer.blocks = 9
    assert count == 9 > director.codec.geometry.max_blocks


def test_a_prompt_may_change_between_blocks(director: ShotGenerator, past: list[FinishedShot]) -> None:
    changed = plan(2)
    blocks = []
    for block in shoot(director, changed, past):
        blocks.append(block.frames)
        changed.prompt = "a bear"
    unchanged = film(director, plan(2), past)
    assert np.array_equal(blocks[0], unchanged[:9])
    assert not np.array_equal(blocks[1], unchanged[9:])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_undistilled_weights_are_sampled_by_euler_steps(
    director: ShotGenerator, past: list[FinishedShot], guidance: float
) -> None:
    settings = SamplerSettings(kind="euler", steps=3, guidance=guidance)
    preset = director.preset.model_copy(update={"student": settings})
    other = ShotGenerator(director.model, director.text_encoder, director.codec, preset)
    assert film(other, plan(), past).shape == film(director, plan(), past).shape


def test_guidance_leads_away_from_the_negative_prompt(director: ShotGenerator) -> None:
    """Away from the prompt itself is nowhere: then the shot is the one without guidance."""

    def made(guidance: float, negative: str | None) -> np.ndarray:
        settings = SamplerSettings(kind="euler", steps=3, guidance=guidance)
        preset = director.preset.model_copy(update={"student": settings, "negative_prompt": negative})
        other = ShotGenerator(director.model, director.text_encoder, director.codec, preset)
        return film(other, plan()).astype(int)

    plain = made(1.0, None)
    assert np.abs(made(3.0, plan().prompt) - plain).max() <= 1
    assert np.abs(made(3.0, "blurred") - plain).max() > 1
    assert np.abs(made(3.0, "blurred") - made(3.0, None)).max() > 1


def test_playing_leaves_gradient_mode_and_global_noise_alone(director: ShotGenerator, past: list[FinishedShot]) -> None:
    state = torch.get_rng_state()
    for _ in shoot(director, plan(), past):
        assert torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_a_prompt_is_global_then_shot() -> None:
    assert full_prompt("A red fox.", "It runs.") == "A red fox. It runs."


def test_running_ahead_makes_the_same_film_and_does_not_keep_the_first_block_waiting(
    director: ShotGenerator, past: list[FinishedShot]
) -> None:
    expected = film(director, plan(3), past)
    director.run_ahead = True
    made, lengths = plan(3), []
    for block in shoot(director, made, past):
        lengths.append(len(block.frames))
        made.blocks = 2 if len(lengths) == 1 else made.blocks  # in time: nothing was begun before the first was out
    assert lengths == [9, 12]
    assert np.array_equal(film(director, plan(3), past), expected)


def test_reading_ahead_changes_nothing_but_when_the_text_is_read(
    director: ShotGenerator, past: list[FinishedShot], text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, asked, encode = film(director, plan(), past), [], text_encoder.encode
    monkeypatch.setattr(text_encoder, "encode", lambda captions: asked.extend(captions) or encode(captions))
    fresh = ShotGenerator(director.model, text_encoder, director.codec, director.preset)
    context = fresh.context.choose(past, "whatever")
    prepared = fresh.prepare(context)
    fresh.read_ahead(plan().prompt)
    assert asked == [past[1].prompt, past[2].prompt, plan().prompt]
    made = np.concatenate([block.frames for block in fresh.shot(plan(), context, prepared)])
    assert np.array_equal(made, expected) and len(asked) == 3
