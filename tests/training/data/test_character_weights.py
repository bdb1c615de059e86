"""Characters count for more where they are, by the world's own truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from runs import ignore

from shotstream.data.world.render import ShotPainter, render_shot
from shotstream.data.world.spec import WorldStory
from shotstream.families.storyworld import STORYWORLD
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.data.story_sources import SMALLEST_SHARE, CharacterWeights, WorldStories
from shotstream.training.engine.stage import LoopSettings, LossReport, OptimiserSettings
from shotstream.training.stages.causal_flow import CausalFlowRecipe, CausalFlowStage
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage

GEOMETRY = STORYWORLD.geometry
STORIES = WorldStories(seed=5, split="train", decoded_share=0.0, preset=STORYWORLD)
LENGTH = 3  # latent frames


def shots(framing: str) -> list[tuple[int, int]]:
    """(story, shot) of the first few shots so framed."""
    found = [
        (number, place)
        for number in range(30)
        for place, shot in enumerate(STORIES.story(number).shots)
        if shot.framing == framing
    ]
    return found[:6]


def truth_boxes(story: WorldStory, shot: int) -> list[tuple[float, float, float, float]]:
    """Of the frames that are drawn whole, at full size."""
    frames = GEOMETRY.pixel_frames(LENGTH)
    size = {"width": GEOMETRY.width, "height": GEOMETRY.height, "fps": GEOMETRY.fps}
    _, truths = render_shot(story, shot, frames=frames, **size)
    return [one.box for truth in truths for one in truth.characters]


def test_boxes_without_a_picture_are_those_of_the_picture() -> None:
    for number, shot in shots("wide")[:2] + shots("close-up")[:2]:
        story = STORIES.story(number)
        painter = ShotPainter(story, shot, 32, 20)
        frames = range(GEOMETRY.pixel_frames(LENGTH))
        small = [one.box for frame in frames for one in painter.seen_at(frame / GEOMETRY.fps)]
        assert torch.allclose(torch.tensor(small), torch.tensor(truth_boxes(story, shot)), atol=0.02)


@pytest.mark.parametrize("framing", ["wide", "medium", "close-up"])
def test_a_shot_weighs_as_much_and_its_characters_more(framing: str) -> None:
    weighting = CharacterWeights(STORIES, GEOMETRY, extra=1.0)
    _, height, width = GEOMETRY.latent_shape
    for number, shot in shots(framing):
        weights = weighting.of(number, shot, LENGTH)
        assert weights.shape == (LENGTH, 1, height, width)
        assert weights.mean().item() == pytest.approx(1, abs=1e-5)
        seen = weights > weights.min()
        share = seen.float().mean().item()
        if SMALLEST_SHARE < share < 1:
            ratio = (weights[seen].mean() / weights[~seen].mean()).item()
            assert ratio == pytest.approx(1 + 1 / share, rel=1e-4)  # what the whole shot weighs, once more for them


def test_heavy_cells_are_where_the_truth_sees_characters() -> None:
    weighting = CharacterWeights(STORIES, GEOMETRY, extra=1.0)
    _, height, width = GEOMETRY.latent_shape
    for number, shot in shots("wide"):
        weights = weighting.of(number, shot, LENGTH)
        heavy = (weights > weights.min()).any(0)[0]
        for left, top, right, bottom in truth_boxes(STORIES.story(number), shot):
            if right > left and bottom > top:
                row, column = int((top + bottom) / 2 * height), int((left + right) / 2 * width)
                assert heavy[min(row, height - 1), min(column, width - 1)]
        assert heavy.float().mean() < 0.6  # and not everywhere


def test_nothing_extra_is_nothing_weighed() -> None:
    assert torch.equal(CharacterWeights(STORIES, GEOMETRY, extra=0.0).of(0, 0, 1), torch.ones(1, 1, 10, 16))


Recipe = type[TeacherRecipe] | type[CausalFlowRecipe]


@pytest.mark.parametrize(("stage", "recipe"), [(TeacherStage, TeacherRecipe), (CausalFlowStage, CausalFlowRecipe)])
def test_stages_are_taught_by_them(
    stage: type[TeacherStage] | type[CausalFlowStage],
    recipe: Recipe,
    material: MaterialSettings,
    preset_file: str,
    store: Path,
    tiny_model: Path,
) -> None:
    def loss(weight: float) -> LossReport:
        settings = recipe(
            preset=preset_file,
            material=material,
            samples=NextShotSettings(batch=2, lengths={3: 1.0}, first_share=1),
            character_weight=weight,
            start=str(tiny_model / "teacher.safetensors"),
            optimiser=OptimiserSettings(kind="adamw", rate=1e-3),
            loop=LoopSettings(updates=2, warmup=0, save_every=100, look_every=100),
        )
        return stage(settings, store, ignore).loss(0, "student")  # type: ignore[arg-type]

    plain, weighed = loss(0.0), loss(2.0)
    assert plain.samples == weighed.samples and plain.loss != weighed.loss  # the same batch and noise
    assert loss(2.0).loss == weighed.loss


@pytest.mark.parametrize("recipe", [TeacherRecipe, CausalFlowRecipe])
def test_clips_do_not_tell_where_their_characters_are(recipe: Recipe, material: MaterialSettings) -> None:
    settings = {
        "material": material.model_copy(update={"clips": "clips.csv"}),
        "preset": "storyworld",
        "start": "bundled",
        "optimiser": OptimiserSettings(kind="adamw", rate=1e-3),
        "loop": LoopSettings(updates=2),
    }
    assert recipe.model_validate(settings).character_weight == 0
    with pytest.raises(ValidationError, match="character_weight: clips do not tell"):
        recipe.model_validate(settings | {"character_weight": 1.0})
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValidationError, match="character_weight"):
            recipe.model_validate(settings | {"material": material, "character_weight": wrong})
