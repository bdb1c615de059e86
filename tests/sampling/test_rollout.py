"""The block generator: what is computed, what is remembered, what gradients reach."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from shotstream.core.geometry import Geometry
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.rollout import BatchNoise, NamedNoise, rollout
from shotstream.sampling.solvers import NEVER, GradientPolicy, few_step
from shotstream.sampling.streaming import StreamingShot

TIMESTEPS = (1000.0, 750.0, 500.0)
SAMPLER = partial(few_step, timesteps=TIMESTEPS)


@pytest.fixture
def shape(geometry: Geometry) -> tuple[int, int, int, int]:
    return (geometry.block_frames, *geometry.latent_shape)


def make(model: Transformer, context: ContextFrames, caption: Tensor, **options: object) -> StreamingShot:
    shot = StreamingShot(model, context, max_frames=12, **options)
    shot.read(caption)
    return shot


class Passes:
    """Counts the frames of every pass of a model."""

    def __init__(self, model: Transformer) -> None:
        self.frames: list[int] = []
        model.register_forward_pre_hook(lambda _, inputs: self.frames.append(inputs[0].shape[1]))


@torch.no_grad()
def test_the_last_block_is_not_remembered_and_fusing_saves_a_pass(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    passes = Passes(model)
    list(rollout(make(model, context, caption), SAMPLER, NamedNoise(1, shot=0), blocks=2, block_shape=shape))
    assert passes.frames == [2, 3, 3, 3, 3, 3, 3, 3]  # context, three steps, refresh, three steps
    passes.frames.clear()
    fused = make(model, context, caption, fuse=True)
    list(rollout(fused, SAMPLER, NamedNoise(1, shot=0), blocks=2, block_shape=shape))
    assert passes.frames == [2, 3, 3, 3, 6, 3, 3]


@torch.no_grad()
def test_without_refresh_a_block_is_remembered_as_its_last_step_saw_it(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    passes = Passes(model)
    hurried, noisy = make(model, context, caption, refresh=False, fuse=True), make(model, context, caption)
    list(rollout(hurried, SAMPLER, NamedNoise(1, shot=0), blocks=2, block_shape=shape))
    assert passes.frames[0] == 2 and passes.frames[2:] == [3] * 6
    for shot in (hurried, noisy):
        shot.restart()
    x = NamedNoise(2, shot=0).draw(0, 0, shape)
    hurried.flow(x, 500.0)
    hurried.finish(x + 1)  # what is clean is not looked at
    noisy.flow(x, 500.0)
    noisy.shot_cache.commit(hurried.shot_cache.tokens)
    for ours, theirs in zip(hurried.shot_cache.tensors(), noisy.shot_cache.tensors(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@torch.no_grad()
def test_fused_and_separate_passes_make_the_same_shot(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    shots = [
        torch.cat(list(rollout(shot, SAMPLER, NamedNoise(1, shot=0), blocks=3, block_shape=shape)), dim=1)
        for shot in (make(model, context, caption), make(model, context, caption, fuse=True))
    ]
    torch.testing.assert_close(*shots, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_shot_can_be_cut_and_extended_while_it_plays(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    wanted = 1
    noise = NamedNoise(1, shot=0)
    blocks = rollout(make(model, context, caption), SAMPLER, noise, blocks=lambda b: b < wanted, block_shape=shape)
    first = next(blocks)
    wanted = 2
    second = next(blocks)
    assert next(blocks, None) is None
    whole = list(rollout(make(model, context, caption), SAMPLER, noise, blocks=2, block_shape=shape))
    assert torch.equal(first, whole[0]) and torch.equal(second, whole[1])


@torch.no_grad()
def test_another_take_in_the_same_context_leaves_no_trace(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    shot = make(model, context, caption)
    first, again = [], []
    for take, blocks in ((0, first), (1, []), (0, again)):
        shot.restart()
        blocks.extend(rollout(shot, SAMPLER, NamedNoise(1, shot=0, take=take), blocks=2, block_shape=shape))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@torch.no_grad()
def test_two_samples_at_once_are_the_two_alone(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    other = ContextFrames(
        latents=context.latents + 1,
        shot_index=torch.tensor([[0, 0]]),
        captions=context.captions - 1,
        caption_index=torch.tensor([[0, 0]]),
    )
    both = ContextFrames(
        latents=torch.cat([context.latents, other.latents]),
        shot_index=torch.stack([context.shot_index, other.shot_index[0]]),
        captions=torch.cat([context.captions, other.captions]),
        caption_index=torch.stack([context.caption_index, other.caption_index[0]]),
    )
    noises = [NamedNoise(seed, shot=0) for seed in (1, 2)]
    run = partial(rollout, sampler=SAMPLER, blocks=2, block_shape=shape)
    pair = list(run(make(model, both, torch.cat([caption, 2 * caption]), guidance=2.0), noise=BatchNoise(noises)))
    for i, (one, text) in enumerate(((context, caption), (other, 2 * caption))):
        alone = list(run(make(model, one, text, guidance=2.0), noise=noises[i]))
        torch.testing.assert_close(torch.cat(pair, 1)[i, None], torch.cat(alone, 1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_guidance_is_uncond_plus_scaled_difference(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    x = torch.randn(1, *shape)
    silent = ContextFrames(
        latents=context.latents,
        shot_index=context.shot_index,
        captions=torch.zeros_like(context.captions),
        caption_index=context.caption_index,
    )
    cond = make(model, context, caption).flow(x, 500)
    uncond = make(model, silent, torch.zeros_like(caption)).flow(x, 500)
    guided = make(model, context, caption, guidance=3.0).flow(x, 500)
    torch.testing.assert_close(guided, uncond + 3 * (cond - uncond), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("gradient", "reached"),
    [
        (GradientPolicy(exit_step=1), {"shot"}),
        (GradientPolicy(exit_step=1, context=True), {"shot", "context"}),
        (GradientPolicy(exit_step=1, refresh=True), {"shot"}),
    ],
)
def test_gradients_reach_what_the_policy_says(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    shape: tuple[int, int, int, int],
    gradient: GradientPolicy,
    reached: set[str],
) -> None:
    latents = context.latents.clone().requires_grad_()
    traced = ContextFrames(
        latents=latents,
        shot_index=context.shot_index,
        captions=context.captions,
        caption_index=context.caption_index,
    )
    shot = make(model, traced, caption, gradient=gradient)
    blocks = list(rollout(shot, SAMPLER, NamedNoise(1, shot=0), blocks=2, block_shape=shape, gradient=gradient))
    torch.cat(blocks, dim=1).square().sum().backward()
    assert all(p.grad is not None for p in model.blocks.parameters())
    assert (latents.grad is not None) == ("context" in reached)


def test_refresh_with_gradients_reaches_the_earlier_block(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    for refresh in (False, True):
        gradient = GradientPolicy(exit_step=0, refresh=refresh)
        run = rollout(
            make(model, context, caption, gradient=gradient),
            SAMPLER,
            NamedNoise(1, shot=0),
            blocks=2,
            block_shape=shape,
            gradient=gradient,
        )
        first, second = run
        (reached,) = torch.autograd.grad(second.sum(), first, allow_unused=True)
        assert (reached is not None) == refresh


def test_self_forcing_sees_the_same_pictures_as_playing(
    model: Transformer, context: ContextFrames, caption: Tensor, shape: tuple[int, int, int, int]
) -> None:
    pictures = []
    for gradient in (NEVER, GradientPolicy(exit_step=2)):
        shot = make(model, context, caption, gradient=gradient)
        blocks = rollout(shot, SAMPLER, NamedNoise(1, shot=0), blocks=2, block_shape=shape, gradient=gradient)
        pictures.append(torch.cat(list(blocks), dim=1).detach())
    torch.testing.assert_close(*pictures, atol=1e-5, rtol=1e-5)
    assert torch.is_grad_enabled()


def test_a_shot_without_a_prompt_says_so(model: Transformer, context: ContextFrames) -> None:
    with pytest.raises(ValueError, match="read"):
        StreamingShot(model, context, max_frames=3).flow(torch.zeros(1, 3, 4, 4, 6), 1000)
