"""Blocks that are recorded and replayed are those that Python makes, to the bit."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from recorded_calls import RecordedCalls

from shotstream.families.preset import SamplerSettings
from shotstream.sampling.context import BlankShot
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest


@pytest.fixture
def generator(director: ShotGenerator) -> ShotGenerator:
    director.model.requires_grad_(False)
    return director


def frames_of(shots: ShotGenerator, shot: int, blocks: int, *, change_at: int | None = None) -> np.ndarray:
    """The frames of a shot; its prompt changes before block ``change_at``."""
    past = [BlankShot(shots.codec.geometry, str(number)) for number in range(shot)]
    for number, one in enumerate(past):
        one.index = number
    request = ShotRequest(prompt=f"shot {shot}", blocks=blocks, noise=NamedNoise(3, shot=shot))
    made = []
    for block in shots.shot(request, shots.context.choose(past, request.prompt)):
        made.append(block.frames)
        if block.index + 1 == change_at:
            request.prompt = "another"
    return np.concatenate(made)


@pytest.fixture(params=["fused", "separate", "none"])
def pair(
    request: pytest.FixtureRequest, generator: ShotGenerator
) -> tuple[ShotGenerator, ShotGenerator, RecordedCalls]:
    """The same generator twice: eager, and with recorded blocks. Its refresh: fused, a pass of its own, or none."""
    settings = SamplerSettings(timesteps=(1000, 500), refresh=request.param != "none")
    recorder = RecordedCalls()
    made = []
    for _ in range(2):
        one = ShotGenerator(
            generator.model,
            generator.text_encoder.encoder,
            generator.codec,
            generator.preset,
            fuse=request.param == "fused",
        )
        one.sample_by(settings)
        made.append(one)
    made[1].record_blocks(recorder)
    return made[0], made[1], recorder


def test_shots_are_the_same_and_each_shape_is_recorded_once(pair) -> None:
    eager, graphed, recorder = pair
    most = eager.codec.geometry.max_blocks
    for shot in range(3):
        assert np.array_equal(frames_of(graphed, shot, most), frames_of(eager, shot, most))
        gc.collect()
    assert recorder.recorded == most and recorder.replayed == 3 * most


def test_a_window_that_rolls_stays_at_its_last_shape(pair) -> None:
    eager, graphed, recorder = pair
    most = eager.codec.geometry.max_blocks
    assert np.array_equal(frames_of(graphed, 1, most + 3), frames_of(eager, 1, most + 3))
    assert recorder.recorded <= most + 1 and recorder.replayed == most + 3


def test_another_prompt_in_the_middle_of_a_shot(pair) -> None:
    eager, graphed, _ = pair
    assert np.array_equal(frames_of(graphed, 1, 3, change_at=2), frames_of(eager, 1, 3, change_at=2))


def test_two_shots_at_work_have_caches_of_their_own(pair) -> None:
    eager, graphed, recorder = pair

    def both(shots: ShotGenerator) -> list[np.ndarray]:
        requests = [ShotRequest(prompt=f"shot {n}", blocks=2, noise=NamedNoise(3, shot=n)) for n in range(2)]
        running = [shots.shot(one, shots.context.choose([], one.prompt)) for one in requests]
        return [next(one).frames for one in (*running, *running)]

    for made, true in zip(both(graphed), both(eager), strict=True):
        assert np.array_equal(made, true)
    assert recorder.recorded == 4  # two caches, two shapes each


def test_guidance_doubles_the_batch(generator: ShotGenerator) -> None:
    made = []
    for graphed in (False, True):
        one = ShotGenerator(generator.model, generator.text_encoder.encoder, generator.codec, generator.preset)
        one.preset = one.preset.model_copy(update={"student": one.preset.student.model_copy(update={"guidance": 2.0})})
        one = ShotGenerator(one.model, one.text_encoder.encoder, one.codec, one.preset)
        if graphed:
            one.record_blocks(RecordedCalls())
        made.append(frames_of(one, 1, 2))
    assert np.array_equal(*made)


def test_fewer_steps_are_recorded_anew(pair) -> None:
    eager, graphed, recorder = pair
    frames_of(graphed, 0, 1)
    gc.collect()
    for one in (eager, graphed):
        one.sample_by(one.settings.fewer(1))
    assert np.array_equal(frames_of(graphed, 0, 1), frames_of(eager, 0, 1))
    assert recorder.recorded == 2


def test_caches_in_main_memory_are_not_recorded(generator: ShotGenerator) -> None:
    one = ShotGenerator(
        generator.model, generator.text_encoder.encoder, generator.codec, generator.preset, cache_place="host"
    )
    one.record_blocks(RecordedCalls())
    with pytest.raises(ValueError, match="caches on the device"):
        frames_of(one, 0, 1)


def test_the_recorder_notices_a_block_that_waits_for_the_device() -> None:
    with pytest.raises(AssertionError, match="waits for the device"):
        RecordedCalls().record(lambda: torch.ones(2) * torch.ones(2).sum().item())
