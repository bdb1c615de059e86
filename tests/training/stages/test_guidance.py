"""Guidance distillation: one pass comes to say what two guided ones said, and is sampled without guidance."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from runs import ignore

from shotstream.families.preset import Preset, read_preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.prompts import Branches
from shotstream.sampling.streaming import StreamingShot
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.stages.guidance import GuidanceRecipe, GuidanceStage, guidance_loss

GUIDANCE = 60.0  # what captions say to a network of random weights is a whisper


def recipe(material: MaterialSettings, preset_file: str, tiny_model: Path, *, own_share: float) -> GuidanceRecipe:
    return GuidanceRecipe(
        preset=preset_file,
        material=material,
        samples=NextShotSettings(batch=4, lengths={6: 1.0}, caption_drop=0),
        guidance=GUIDANCE,
        own_share=own_share,
        start=str(tiny_model / "student.safetensors"),
        optimiser=OptimiserSettings(kind="adamw", rate=2e-3),
        loop=LoopSettings(updates=150, warmup=2, dtype="float32", look_every=1000),
    )


def batch_of(material: MaterialSettings, preset: Preset, store: Path) -> NextShotBatch:
    found = Material(material, preset, store, ignore)
    settings = NextShotSettings(batch=3, lengths={6: 1.0}, first_share=0, context_drop=0, caption_drop=0)
    return NextShotSampler(found.train, preset, settings).batch(random.Random(1))


def streamed(model: Transformer, batch: NextShotBatch, preset: Preset, guidance: float) -> torch.Tensor:
    """Flow of the second block as streaming computes it, the true first block remembered."""
    block = preset.geometry.block_frames
    shot = StreamingShot(model, batch.context, max_frames=2 * block, guidance=guidance)
    shot.read(batch.caption)
    shot.finish(batch.target[:, :block])
    return shot.flow(batch.target[:, block:], 900.0)


@torch.no_grad()
def test_the_loss_is_the_distance_from_what_guided_streaming_says(
    material: MaterialSettings, preset_file: str, tiny_model: Path, store: Path
) -> None:
    stage = GuidanceStage(recipe(material, preset_file, tiny_model, own_share=0), store, ignore)
    preset, model = stage.preset, cast(Transformer, stage.roles["student"].module)
    one_step = preset.model_copy(update={"student": preset.student.model_copy(update={"timesteps": (1000,)})})
    batch, block = batch_of(material, preset, store), preset.geometry.block_frames
    # At timestep 1000 the noisy block is noise alone: give both paths the same one, in the target's place.
    generator = torch.Generator().manual_seed(5)
    loss, _, _ = guidance_loss(model, model, one_step, batch, Branches(GUIDANCE), 0.0, generator)
    generator = torch.Generator().manual_seed(5)
    torch.randint(1, (3, 2), generator=generator)
    torch.rand(3, 1, 1, 1, 1, generator=generator)
    torch.randn(batch.target.shape, generator=generator)
    noise = torch.randn(batch.target.shape, generator=generator)
    apart = []
    for first in (True, False):
        flows = []
        for guidance in (1.0, GUIDANCE):
            shot = StreamingShot(model, batch.context, max_frames=2 * block, guidance=guidance)
            shot.read(batch.caption)
            if not first:
                shot.finish(batch.target[:, :block])
            flows.append(shot.flow(noise[:, :block] if first else noise[:, block:], 1000.0))
        apart.append((flows[0] - flows[1]).square().mean())
    assert loss > 0
    torch.testing.assert_close(loss, torch.stack(apart).mean(), rtol=1e-4, atol=1e-7)


def test_one_pass_comes_to_say_what_two_said(
    material: MaterialSettings,
    preset_file: str,
    tiny_model: Path,
    store: Path,
    tmp_path: Path,
    train: Callable[..., object],
) -> None:
    stage = GuidanceStage(recipe(material, preset_file, tiny_model, own_share=0.5), store, ignore)
    batch, model = batch_of(material, stage.preset, store), cast(Transformer, stage.roles["student"].module)
    with torch.no_grad():
        asked, before = (streamed(model, batch, stage.preset, guidance) for guidance in (GUIDANCE, 1.0))
    folder = tmp_path / "run"
    train(stage, folder)
    with torch.no_grad():
        after = streamed(model, batch, stage.preset, 1.0)
    assert (after - asked).square().mean() < 0.5 * (before - asked).square().mean()
    losses = [loss for _, loss in read_curve(folder / "curve.jsonl")["student"]]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert read_preset(folder / "preset.json").student.guidance == 1
