"""How many samples an update has, and what they remember."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from runs import ignore

from shotstream.core.errors import InputError
from shotstream.families.preset import read_preset
from shotstream.sampling.context import ContextFrames
from shotstream.training.data.latent_store import SHARD
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.next_shot_batches import PINNED_SHOT, NextShotSampler, NextShotSettings
from shotstream.training.data.shards import ShardsAhead, shard_file, shown_shards
from shotstream.training.recipes import NANO, PresetRecipe, training_preset


@pytest.mark.parametrize("length", [1, 3, 9, 21])
def test_updates_of_short_samples_cost_what_those_of_the_longest_do(length: int) -> None:
    level = NextShotSettings(batch=4, lengths={1: 0.5, 3: 0.2, 9: 0.2, 21: 0.1}, level_cost=True)
    frames, longest = (6 + length) * level.samples(length, NANO.geometry), 4 * (6 + 21)
    assert longest - (6 + length) < frames <= longest  # no sample more would fit
    assert level.samples(21, NANO.geometry) == 4


@pytest.mark.parametrize("length", [3, 9])
def test_without_it_every_update_has_as_many(length: int) -> None:
    assert NextShotSettings(batch=5, lengths={3: 0.5, 9: 0.5}).samples(length, NANO.geometry) == 5


def test_batches_of_clips_are_of_one_length_in_whole_blocks(found: Material, preset_file: str) -> None:
    preset = read_preset(Path(preset_file))
    settings = NextShotSettings(batch=3, lengths="clips", first_share=0)
    sampler = NextShotSampler(found.train, preset, settings, multiple=4, shortest=4)
    assert sampler.batch(random.Random(1)).target.shape[:2] == (3, 4)  # of shots of six latent frames
    longest = preset.geometry.max_blocks * preset.geometry.block_frames
    assert settings.longest(preset.geometry) == longest and settings.samples(4, preset.geometry) == 3


@pytest.fixture
def found(material: MaterialSettings, preset_file: str, store: Path) -> Material:
    return Material(material, read_preset(Path(preset_file)), store, ignore)


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
        ({"context": {"policy": "retrieval"}}, "context.policy: 'retrieval' compares words"),
    ):
        with pytest.raises(InputError, match=said):
            training_preset(PresetRecipe(preset="nano", changes=changes))


def test_a_shot_that_changes_reads_its_second_caption_from_there_on(found: Material, preset_file: str) -> None:
    preset = read_preset(Path(preset_file))
    block = preset.geometry.block_frames
    sampler = NextShotSampler(found.train, preset, NextShotSettings(), changes=True)
    batch = sampler.of(0, 1, 2 * block)
    shot = found.train.shot(0, 1)
    assert batch.change is not None and batch.change.frame.tolist() == [block]
    assert shot.changed is not None and torch.equal(batch.change.caption[0], shot.changed)
    assert sampler.of(0, 1, block).change is None  # it ends before
    assert sampler.of(0, 2, 2 * block).change is None


def test_a_loss_that_knows_one_caption_gets_no_frame_behind_a_change(found: Material, preset_file: str) -> None:
    preset = read_preset(Path(preset_file))
    lengths = {2 * preset.geometry.block_frames: 1.0}
    settings = NextShotSettings(batch=40, lengths=lengths, first_share=0, caption_drop=0)
    for changes in (True, False):
        sampler = NextShotSampler(found.train, preset, settings, changes=changes)
        batches = [sampler.batch(random.Random(seed)) for seed in range(8)]
        changing = found.train.shot(0, 1)
        drawn = any(torch.equal(one, changing.latents) for batch in batches for one in batch.target)
        assert drawn == changes == any(batch.change is not None for batch in batches)


def test_a_pinned_picture_takes_the_place_of_the_oldest_condition_frame(found: Material, preset_file: str) -> None:
    preset = read_preset(Path(preset_file))
    settings = NextShotSettings(
        batch=64, lengths={3: 1.0}, first_share=0.3, pinned_share=1.0, context_noise=0, context_drop=0
    )
    sampler = NextShotSampler(found.train, preset, settings)
    pictures, captions = found.train.pinned(0)
    batch = next(
        batch
        for seed in range(50)
        if (batch := sampler.batch(random.Random(seed))).context.shot_index[:, 0].eq(PINNED_SHOT).any()
    )
    rows = (batch.context.shot_index[:, 0] == PINNED_SHOT).nonzero().flatten().tolist()
    for row in rows:
        held = batch.context.latents[row, 0]
        which = [bool(torch.equal(held, one)) for one in pictures].index(True)
        caption = batch.context.captions[row, batch.context.caption_index[row, 0]]
        assert torch.equal(caption, captions[which]) or not caption.any()  # or dropped
        assert batch.context.shot_index[row, 1:].min() >= 0


def test_gaps_keep_the_order_of_shots_and_reach_far(found: Material, preset_file: str) -> None:
    preset = read_preset(Path(preset_file))
    settings = NextShotSettings(batch=64, lengths={3: 1.0}, first_share=0, gap_share=1.0, context_drop=0, gap_shots=48)
    sampler = NextShotSampler(found.train, preset, settings)
    numbers = torch.cat([sampler.batch(random.Random(seed)).context.shot_index for seed in range(6)])
    assert (numbers.diff(dim=1) >= 0).all() and numbers.min() >= 0 and 40 < numbers.max() <= 46
    assert {len(set(row)) for row in numbers.tolist()} == {1, 2}  # as many shots as before


def test_stories_are_drawn_on_as_they_are_learnt_from() -> None:
    assert shown_shards(4, 0, seen=8, held=100) == range(4)
    assert shown_shards(4, 799, seen=8, held=100) == range(4)
    assert shown_shards(4, 800, seen=8, held=100) == range(1, 5)
    assert shown_shards(4, 80_000, seen=8, held=100) == range(100, 104)


def test_a_store_goes_on_with_new_stories(
    material: MaterialSettings, preset_file: str, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Material(material, read_preset(Path(preset_file)), own_store, ignore).train
    made: list[int] = []

    def copied(number: int) -> Iterator[int]:
        made.append(number)
        shutil.copy(shard_file(store.folder, 0), shard_file(store.folder, number))
        yield 1

    more = ShardsAhead(copied, lambda number: shard_file(store.folder, number).exists())
    monkeypatch.setattr(more, "_workers", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(store, "_more", more)
    shots = SHARD * store.shots(0)
    store.learnt(7 * shots, seen=8)
    assert store.shown == range(SHARD) and not made
    store.learnt(17 * shots, seen=8)
    assert store.shown == range(2 * SHARD, 3 * SHARD)
    assert torch.equal(store.shot(2 * SHARD, 1).latents, store.shot(0, 1).latents)
    assert store.change(2 * SHARD, 1) == store.change(0, 1)
