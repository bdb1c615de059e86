"""Single pictures of many stories: drawn, coded once, and what a teacher learns from first."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from runs import ignore
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.core.randomness import derive
from shotstream.data.world.render import render_shot
from shotstream.data.world.stories import TRAINING_STYLE, make_story
from shotstream.families.preset import Preset
from shotstream.training.data import picture_store
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSampler, NextShotSettings
from shotstream.training.data.picture_store import WorldPictures
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.recipes import read_recipe
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage

STORIES = 2  # to a file


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_store, "SHARD", STORIES)


@pytest.fixture
def preset(preset_file: str) -> Preset:
    return Preset.model_validate_json(Path(preset_file).read_bytes())


def with_pictures(material: MaterialSettings, stories: int) -> MaterialSettings:
    return material.model_copy(update={"picture_stories": stories})


def opened(material: MaterialSettings, preset: Preset, store: Path, told: list[tuple[int, int]]) -> Material:
    return Material(material, preset, store, lambda done, of: told.append((done, of)))


def true_pictures(preset: Preset, seed: int) -> list[Tensor]:
    """Every frame of every shot of the first two stories, [T, 3, H, W] in [-1, 1]."""
    geometry = preset.geometry
    shots = []
    for number in range(STORIES):
        story = make_story(derive(seed, "pictures", "train", number), split="train", style=TRAINING_STYLE)
        for place, shot in enumerate(story.shots):
            frames = geometry.shot_frames(geometry.blocks_for(shot.seconds))
            video, _ = render_shot(
                story, place, frames=frames, width=geometry.width, height=geometry.height, fps=geometry.fps
            )
            shots.append(torch.from_numpy(video).permute(0, 3, 1, 2).float() / 127.5 - 1)
    return shots


def test_a_drawn_picture_is_a_coded_frame_of_a_training_story(
    material: MaterialSettings, preset: Preset, store: Path
) -> None:
    found = opened(with_pictures(material, STORIES), preset, store, [])
    assert found.pictures is not None
    frames = torch.cat([found.codec.encode_images(shot) for shot in true_pictures(preset, material.seed)])
    draw = random.Random(1)
    seen = set()
    for _ in range(40):
        picture, caption = found.pictures.draw(draw)
        distance = (frames - picture).abs().flatten(1).amax(1)
        assert distance.min() < 1e-2 and caption.any()
        seen.add(int(distance.argmin()))
    assert len(seen) > STORIES  # of several shots


def test_pictures_are_coded_once_and_more_are_added(material: MaterialSettings, preset: Preset, store: Path) -> None:
    told: list[tuple[int, int]] = []
    opened(with_pictures(material, STORIES), preset, store, [])
    first = store / "pictures" / "shard-00000.safetensors"
    before = first.stat().st_mtime_ns
    opened(with_pictures(material, STORIES), preset, store, told)
    assert told == []
    opened(with_pictures(material, STORIES + 1), preset, store, told)
    assert told == [(1, STORIES), (STORIES, STORIES)] and first.stat().st_mtime_ns == before


def test_several_pictures_of_a_shot_lie_apart(preset: Preset) -> None:
    source = WorldPictures(seed=5, split="train", preset=preset, per_shot=3)
    for pictures, captions in source.drawn(range(2)):
        assert len(pictures) == len(captions)
        assert all(len(shot) == 3 for shot in pictures)


def test_a_teacher_begins_with_them(material: MaterialSettings, preset_file: str, store: Path) -> None:
    recipe = TeacherRecipe(
        preset=preset_file,
        material=with_pictures(material, STORIES),
        optimiser=OptimiserSettings(rate=1e-3),
        loop=LoopSettings(updates=2),
        picture_updates=1,
        picture_batch=8,
    )
    report = TeacherStage(recipe, store, ignore).loss(0, "teacher")
    assert report.samples == 8 and torch.isfinite(report.loss)


def test_captions_are_dropped_from_them_too(material: MaterialSettings, preset: Preset, store: Path) -> None:
    found = opened(with_pictures(material, STORIES), preset, store, [])
    settings = NextShotSettings(caption_drop=1.0)
    pictures, captions = NextShotSampler(found.train, preset, settings, found.pictures).pictures(random.Random(0), 5)
    assert pictures.shape == (5, 1, *preset.geometry.latent_shape) and not captions.any()


def test_clips_have_no_others() -> None:
    with pytest.raises(InputError, match="picture_stories"):
        read_recipe("storyworld/teacher", ["material.clips=a.csv", "material.picture_stories=100"])
