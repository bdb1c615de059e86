"""Pictures of one story behind one another: what a teacher learns to remember from, before it sees shots."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from runs import ignore

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.core.context_budget import PastShot, dynamic_sampling
from shotstream.core.errors import InputError
from shotstream.families.preset import Preset
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.recipes import read_recipe
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage

WHOLE = NextShotSettings(context_drop=0, caption_drop=0, context_noise=0)


@pytest.fixture
def preset(preset_file: str) -> Preset:
    return Preset.model_validate_json(Path(preset_file).read_bytes())


def drawn(found: Material, preset: Preset, settings: NextShotSettings, seed: int) -> tuple[NextShotBatch, torch.Tensor]:
    sampler = NextShotSampler(found.train, preset, settings, found.pictures)
    return sampler.context_pictures(random.Random(seed), 12)


def test_the_memory_is_of_the_target_s_own_story(found: Material, preset: Preset) -> None:
    assert found.pictures is not None
    whole = [found.pictures.draw_story(random.Random(seed), 2)[0] for seed in range(60)]
    pairs = 0
    for seed in range(12):
        batch, _ = drawn(found, preset, WHOLE, seed)
        assert batch.target.shape[1] == 1 and len(batch.target) == max(1, 12 // (batch.context.frames + 1))
        for condition, target in zip(batch.context.latents, batch.target, strict=True):
            if len(condition) == 1:  # pictures never repeat: one per shot is kept
                pairs += 1
                assert any(torch.equal(story[0], condition[0]) and torch.equal(story[1], target[0]) for story in whole)
    assert pairs


def test_places_are_those_that_dynamic_sampling_gives(found: Material, preset: Preset) -> None:
    budget = preset.geometry.context_frames
    for seed in range(20):
        batch, positions = drawn(found, preset, WHOLE, seed)
        earlier = batch.context.frames
        slots = [frame.shot for frame in dynamic_sampling([PastShot(9)] * earlier, budget)]
        for places in positions.tolist():
            assert [slots[place] for place in places[:-1]] == list(range(earlier)) and places[-1] == budget
        assert batch.context.next_shot.flatten().tolist() == [earlier] * len(positions)


def test_what_is_dropped_is_gone(found: Material, preset: Preset) -> None:
    settings = NextShotSettings(context_drop=1, caption_drop=1)
    batch, _ = drawn(found, preset, settings, 1)
    assert not batch.context.latents.any() and not batch.context.captions.any() and not batch.caption.any()
    assert not batch.context.shot_index.any() and batch.target.any()


def test_positions_are_seen_by_the_network(found: Material, preset: Preset, tiny_model: Path) -> None:
    model, _ = load_transformer(tiny_model / "teacher.safetensors")
    budget = preset.geometry.context_frames
    batch, positions = drawn(found, preset, WHOLE, 2)
    times = torch.full((len(batch.target),), 900.0)

    def flow(positions: torch.Tensor | None) -> torch.Tensor:
        return next_shot_flow(model, batch.context, batch.caption, batch.target, times, "zero", positions)

    with torch.no_grad():
        torch.testing.assert_close(flow(torch.arange(batch.context.frames + 1)), flow(None))
        assert batch.context.frames < budget and not torch.allclose(flow(positions), flow(None))


@pytest.mark.parametrize("times", ["logit-normal", "even"])
def test_a_teacher_learns_from_them(
    with_pictures: MaterialSettings, preset_file: str, own_store: Path, times: str
) -> None:
    stage = TeacherStage(teacher(with_pictures, preset_file, times), own_store, ignore)
    report = stage.loss(0, "teacher")
    assert 1 <= report.samples <= 6 and torch.isfinite(report.loss)  # of 8 pictures


def teacher(material: MaterialSettings, preset_file: str, times: str = "even") -> TeacherRecipe:
    return TeacherRecipe.model_validate(
        {
            "preset": preset_file,
            "material": material,
            "optimiser": OptimiserSettings(rate=1e-3),
            "loop": LoopSettings(updates=2),
            "picture_updates": 1,
            "picture_batch": 8,
            "memory_share": 1.0,
            "times": times,
        }
    )


def test_memories_need_pictures_of_whole_stories() -> None:
    with pytest.raises(InputError, match="memory_share"):
        read_recipe("storyworld/teacher", ["material.picture_stories=0", "memory_share=0.5"])
