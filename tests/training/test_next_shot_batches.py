"""How many samples an update has, and what they remember."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from runs import ignore

from shotstream.core.errors import InputError
from shotstream.models.presets import read_preset
from shotstream.sampling.context import ContextFrames
from shotstream.training.material import Material, MaterialSettings
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings
from shotstream.training.presets import NANO, PresetRecipe, training_preset


@pytest.mark.parametrize("length", [1, 3, 9, 21])
def test_updates_of_short_samples_cost_what_those_of_the_longest_do(length: int) -> None:
    level = NextShotSettings(batch=4, lengths={1: 0.5, 3: 0.2, 9: 0.2, 21: 0.1}, level_cost=True)
    frames, longest = (6 + length) * level.samples(length, kept=6), 4 * (6 + 21)
    assert longest - (6 + length) < frames <= longest  # no sample more would fit
    assert level.samples(21, kept=6) == 4


@pytest.mark.parametrize("length", [3, 9])
def test_without_it_every_update_has_as_many(length: int) -> None:
    assert NextShotSettings(batch=5, lengths={3: 0.5, 9: 0.5}).samples(length, kept=6) == 5


@pytest.fixture
def found(material: MaterialSettings, preset_file: str, store: Path) -> Material:
    return Material(material, read_preset(Path(preset_file)).geometry, store, ignore)


def sampled(found: Material, preset_file: str, changes: dict[str, object], shot: int) -> ContextFrames:
    preset = training_preset(PresetRecipe(preset=preset_file, changes=changes))
    return NextShotSampler(found.train, preset, NextShotSettings()).of(0, shot, 3).context


def test_a_recipe_chooses_what_its_shots_remember(found: Material, preset_file: str) -> None:
    usual = sampled(found, preset_file, {}, 1)
    first = sampled(found, preset_file, {"context": {"policy": "first-frames"}}, 1)
    assert torch.equal(first.latents[:, 0], usual.latents[:, 0])
    assert all(torch.equal(first.latents[:, 0], first.latents[:, each]) for each in range(first.frames))
    assert not torch.equal(usual.latents[:, 0], usual.latents[:, -1])


def test_a_recipe_chooses_whose_caption_condition_frames_read(found: Material, preset_file: str) -> None:
    usual = sampled(found, preset_file, {}, 1)
    target = sampled(found, preset_file, {"context": {"captions": "target"}}, 1)
    assert torch.equal(target.latents, usual.latents) and torch.equal(target.shot_index, usual.shot_index)
    assert torch.equal(usual.captions[0, 0], found.train.shot(0, 0).caption)
    assert torch.equal(target.captions[0, 0], found.train.shot(0, 1).caption) and target.captions.shape[1] == 1
    assert not target.caption_index.any()


def test_changes_reach_every_depth_of_the_preset_and_must_fit_it() -> None:
    assert training_preset(PresetRecipe(preset="nano")) == NANO
    changed = training_preset(PresetRecipe(preset="nano", changes={"transformer": {"shot_phase": 0}}))
    assert changed == NANO.model_copy(update={"transformer": NANO.transformer.model_copy(update={"shot_phase": 0.0})})
    for changes, said in (
        ({"context": {"policy": "newest"}}, "changes.context.policy: Input should be 'dynamic'"),
        ({"transformer": {"phase": 0}}, "changes.transformer.phase: Extra inputs"),
        ({"context": 3}, "changes.context: Input should be"),
        ({"context": {"policy": "caption"}}, "context.policy: 'caption' compares words"),
    ):
        with pytest.raises(InputError, match=said):
            training_preset(PresetRecipe(preset="nano", changes=changes))
