"""The bidirectional model: cached condition frames equal the whole sequence; the reference's mode stays possible."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.preset import ConditionTime
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.solvers import euler
from shotstream.sampling.teacher import next_shot_flow, sample_shot, teacher_shot


@pytest.mark.parametrize("condition_time", ["zero", "same"])
@pytest.mark.parametrize("negative", [False, True])
@torch.no_grad()
def test_guided_flow_of_a_shot_is_that_of_the_whole_sequence(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    geometry: Geometry,
    condition_time: ConditionTime,
    negative: bool,
) -> None:
    x = torch.randn(1, 6, *geometry.latent_shape)
    unconditional = torch.randn(caption.shape[1:]) if negative else None
    shot = teacher_shot(
        model, context, caption, frames=6, guidance=2.0, condition_time=condition_time, unconditional=unconditional
    )
    blank = torch.zeros_like(caption[0]) if unconditional is None else unconditional
    silent = ContextFrames(
        latents=context.latents,
        shot_index=context.shot_index,
        captions=blank.expand_as(context.captions),
        caption_index=context.caption_index,
    )
    timesteps = torch.tensor([640.0])
    cond = next_shot_flow(model, context, caption, x, timesteps, condition_time)
    uncond = next_shot_flow(model, silent, blank[None], x, timesteps, condition_time)
    torch.testing.assert_close(shot.flow(x, 640.0), uncond + 2 * (cond - uncond), atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_the_two_modes_differ(model: Transformer, context: ContextFrames, caption: Tensor, geometry: Geometry) -> None:
    x, timesteps = torch.randn(1, 3, *geometry.latent_shape), torch.tensor([640.0])
    flows = [next_shot_flow(model, context, caption, x, timesteps, mode) for mode in ("zero", "same")]
    assert not torch.allclose(*flows)


@torch.no_grad()
def test_a_whole_shot_comes_out(
    model: Transformer, context: ContextFrames, caption: Tensor, geometry: Geometry
) -> None:
    solver = partial(euler, timesteps=FlowSchedule(shift=3).euler(3))
    shape = (6, *geometry.latent_shape)
    shots = [
        sample_shot(
            teacher_shot(model, context, caption, frames=6, guidance=1.5, condition_time="zero"),
            solver,
            NamedNoise(seed, shot=2),
            shape,
        )
        for seed in (1, 1, 2)
    ]
    assert shots[0].shape == (1, *shape)
    assert torch.equal(shots[0], shots[1]) and not torch.equal(shots[0], shots[2])
