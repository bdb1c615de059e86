"""The rollout that trains is the rollout that plays; gradients flow where the settings say, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.rollout import NamedNoise, rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import CaptionChange, next_shot_flow
from shotstream.training.methods.losses import teacher_forced_flow
from shotstream.training.methods.self_forcing import Buffer, DmdSettings, Rollout, roll_out, score, student_loss

CAPTION = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def preset(tiny_model: Path) -> Preset:
    return Preset.model_validate_json((tiny_model / "preset.json").read_bytes())


@pytest.fixture
def model(tiny_model: Path) -> Transformer:
    return load_transformer(tiny_model / "student.safetensors")[0].requires_grad_(True)


@pytest.fixture
def context(preset: Preset) -> ContextFrames:
    generator = torch.Generator().manual_seed(2)
    kept = preset.geometry.context_frames
    index = torch.zeros(2, kept, dtype=torch.long)
    return ContextFrames(
        latents=torch.randn(2, kept, *preset.geometry.latent_shape, generator=generator),
        shot_index=index,
        captions=torch.randn(2, 1, 12, 12, generator=generator),
        caption_index=index,
    )


def roll(model: Transformer, preset: Preset, context: ContextFrames, exit_step: int, **options: bool) -> Rollout:
    settings = {"learning": False, "context_gradient": False, **options}
    return roll_out(model, preset, context, CAPTION, frames=6, exit_step=exit_step, seeds=[5, 6], **settings)


def test_ended_at_the_last_step_it_is_the_film_that_plays_whatever_the_batch(
    model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    made = roll(model, preset, context, exit_step=3).latents
    one = ContextFrames(
        latents=context.latents[1:],
        shot_index=context.shot_index[1:],
        captions=context.captions[1:],
        caption_index=context.caption_index[1:],
    )
    shot = StreamingShot(model.requires_grad_(False), one, max_frames=6)
    shot.read(CAPTION[1:])
    shape = (3, *preset.geometry.latent_shape)
    solve = sampler(preset.student, preset.schedule)
    played = torch.cat(list(rollout(shot, solve, NamedNoise(6, shot=0), blocks=2, block_shape=shape)), dim=1)
    torch.testing.assert_close(made[1:], played, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("exit_step", range(4))
def test_with_and_without_gradients_it_is_the_same_shot(
    exit_step: int, model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    learned, seen = roll(model, preset, context, exit_step, learning=True), roll(model, preset, context, exit_step)
    torch.testing.assert_close(learned.latents, seen.latents)
    assert learned.latents.requires_grad and not seen.latents.requires_grad
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("context_gradient", [True, False])
def test_gradients_pass_through_the_context_if_and_only_if_asked(
    context_gradient: bool, model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    context.latents.requires_grad_(True)
    made = roll(model, preset, context, 1, learning=True, context_gradient=context_gradient)
    (gradient,) = torch.autograd.grad(made.latents.sum(), context.latents, allow_unused=True)
    assert (gradient is not None) == context_gradient


def test_a_score_without_guidance_is_the_plain_pass_and_guidance_follows_the_one_definition(
    model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    made, timesteps = roll(model, preset, context, 0), torch.tensor([300.0, 700.0])
    with torch.no_grad():
        plain = next_shot_flow(model, context, CAPTION, made.latents, timesteps, "zero")
        silent = ContextFrames(
            latents=context.latents,
            shot_index=context.shot_index,
            captions=torch.zeros_like(context.captions),
            caption_index=context.caption_index,
        )
        without = next_shot_flow(model, silent, torch.zeros_like(CAPTION), made.latents, timesteps, "zero")
        torch.testing.assert_close(score(model, preset, made, made.latents, timesteps), plain)
        guided = score(model, preset, made, made.latents, timesteps, guidance=3.0)
    torch.testing.assert_close(guided, without + 3 * (plain - without), atol=1e-4, rtol=1e-4)


def test_guidance_leads_away_from_the_text_that_is_given(
    model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    made, timesteps, negative = roll(model, preset, context, 0), torch.tensor([300.0, 700.0]), CAPTION[1] + 1
    with torch.no_grad():
        plain = next_shot_flow(model, context, CAPTION, made.latents, timesteps, "zero")
        told = replace(context, captions=negative.expand_as(context.captions))
        other = next_shot_flow(model, told, negative.expand_as(CAPTION), made.latents, timesteps, "zero")
        guided = score(model, preset, made, made.latents, timesteps, guidance=4.0, unconditional=negative)
    torch.testing.assert_close(guided, other + 4 * (plain - other), atol=1e-4, rtol=1e-4)


def test_where_both_scores_agree_the_student_stays(model: Transformer, preset: Preset, context: ContextFrames) -> None:
    made = roll(model, preset, context, 2, learning=True)
    report = student_loss(made, model, model, preset, DmdSettings(guidance=1), torch.Generator().manual_seed(0))
    assert float(report.loss.detach()) == 0
    assert report.metrics["dmd_gradient"] == 0


def test_the_buffer_keeps_the_last_rollouts_and_comes_back_from_a_checkpoint(
    model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    buffer, made = Buffer(2), [roll(model, preset, context, step) for step in range(3)]
    for one in made:
        buffer.add(one)
    again = Buffer(2)
    again.restore(buffer.extra_state())
    assert len(again) == 2
    kept = {float(entry["latents"].sum()) for entry in again.extra_state()}
    assert kept == {float(one.latents.sum()) for one in made[1:]}


@torch.no_grad()
def test_a_caption_that_takes_over_in_mid_shot_is_read_in_training_as_when_streaming(
    model: Transformer, preset: Preset, context: ContextFrames
) -> None:
    """History stays as it was read; the second sample does not change."""
    block = preset.geometry.block_frames
    clean, noisy = torch.randn(2, 2, 2 * block, *preset.geometry.latent_shape)
    after, times = torch.randn(CAPTION.shape), torch.full((2, 2 * block), 500.0)
    change = CaptionChange(caption=after, frame=torch.tensor([block, 2 * block]))
    trained = teacher_forced_flow(model, context, CAPTION, clean, noisy, times, block, change)

    shot = StreamingShot(model, context, max_frames=2 * block)
    shot.read(CAPTION)
    torch.testing.assert_close(trained[:, :block], shot.flow(noisy[:, :block], 500.0), atol=1e-5, rtol=1e-5)
    shot.finish(clean[:, :block])
    before = shot.flow(noisy[:, block:], 500.0)  # the first pass of a block also places the one before it
    shot.read(torch.stack([after[0], CAPTION[1]]))
    streamed = shot.flow(noisy[:, block:], 500.0)
    torch.testing.assert_close(trained[:, block:], streamed, atol=1e-5, rtol=1e-5)
    assert (before[0] - streamed[0]).abs().max() > 1e-3
