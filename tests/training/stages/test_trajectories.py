"""Trajectories hold the student's states of the teacher's own solution; files are whole, or made again."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import ignore

from shotstream.checkpoints.codec_weights import load_text_encoder
from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.core.errors import InputError
from shotstream.families.wan import WAN_1_3B
from shotstream.models.transformer import Transformer
from shotstream.sampling.solvers import euler
from shotstream.sampling.teacher import next_shot_flow, teacher_shot
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.data.trajectory_store import TrajectoryStore
from shotstream.training.recipes import FOUR_STEPS, NANO, few_steps, training_preset
from shotstream.training.stages.trajectories import TrajectoriesRecipe, make_trajectories, student_places


@pytest.fixture
def recipe(material: MaterialSettings, preset_file: str, tiny_model: Path) -> TrajectoriesRecipe:
    return TrajectoriesRecipe(
        preset=preset_file,
        material=material,
        samples=NextShotSettings(batch=3, lengths={3: 0.5, 6: 0.5}, context_drop=0, caption_drop=0),
        start=str(tiny_model / "teacher.safetensors"),
        pairs=6,
        steps=4,
        dtype="float32",
    )


def test_wans_grid_holds_the_published_steps() -> None:
    grid, places = student_places(WAN_1_3B, 50)
    assert places == [0, 13, 25, 37, 50]
    assert [grid[place] for place in places[:4]] == pytest.approx(WAN_1_3B.schedule.few_step((1000, 740, 500, 260)))


def test_a_grid_that_misses_a_step_is_refused_with_one_that_does_not() -> None:
    with pytest.raises(InputError, match=r"a grid of 18 misses .* such as 20"):
        student_places(few_steps(NANO, FOUR_STEPS), 18)


def test_states_are_the_teachers_and_end_where_its_sampler_ends(
    recipe: TrajectoriesRecipe, store: Path, tmp_path: Path, tiny_model: Path
) -> None:
    make_trajectories(recipe, store, tmp_path, ignore)
    pairs = TrajectoryStore(tmp_path).shard(0)
    preset = training_preset(recipe)
    assert pairs.timesteps.tolist() == pytest.approx([*preset.schedule.few_step(FOUR_STEPS), 0])
    teacher: Transformer = load_transformer(tiny_model / "teacher.safetensors")[0]
    frames = pairs.states.shape[2]
    shot = teacher_shot(
        teacher, pairs.context, pairs.caption, frames=frames, guidance=2.0, condition_time=preset.condition_time
    )
    again = euler(shot.flow, lambda step: pairs.states[:, 0], timesteps=preset.schedule.euler(4))
    torch.testing.assert_close(pairs.states[:, -1], again, atol=2e-2, rtol=2e-2)  # stored in half precision
    assert TrajectoryStore(tmp_path).batch(random.Random(1), 5).states.shape[:2] == (5, 5)


@torch.no_grad()
def test_guidance_leads_away_from_the_negative_prompt(
    recipe: TrajectoriesRecipe, store: Path, tmp_path: Path, tiny_model: Path
) -> None:
    changed = recipe.model_copy(update={"guidance": 30.0, "changes": {"negative_prompt": "a wide shot"}})
    make_trajectories(changed, store, tmp_path, ignore)
    pairs = TrajectoryStore(tmp_path).shard(0)
    teacher: Transformer = load_transformer(tiny_model / "teacher.safetensors")[0]
    negative = load_text_encoder(tiny_model / "text_encoder.safetensors").encode(["a wide shot"])[0]
    silent = replace(pairs.context, captions=negative.expand_as(pairs.context.captions))

    def guided(x: torch.Tensor, timestep: float) -> torch.Tensor:
        """As diffusers' pipelines do it: two passes, the second reading the negative prompt throughout."""
        times = torch.full((len(x),), timestep)
        told = next_shot_flow(teacher, pairs.context, pairs.caption, x, times, "zero")
        untold = next_shot_flow(teacher, silent, negative.expand_as(pairs.caption), x, times, "zero")
        return untold + 30 * (told - untold)

    again = euler(guided, lambda step: pairs.states[:, 0], timesteps=training_preset(changed).schedule.euler(4))
    make_trajectories(recipe.model_copy(update={"guidance": 30.0}), store, tmp_path / "zeros", ignore)
    zeros = TrajectoryStore(tmp_path / "zeros").shard(0)
    apart = [float((made.states[:, -1] - again).square().mean()) for made in (pairs, zeros)]
    assert apart[0] < 1e-2 * apart[1]  # stored in half precision


def test_a_damaged_and_a_missing_file_are_made_again_and_the_rest_is_kept(
    recipe: TrajectoriesRecipe, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_trajectories(recipe.model_copy(update={"pairs": 9}), store, tmp_path, ignore)
    shards = sorted(tmp_path.glob("shard-*.safetensors"))
    originals = [shard.read_bytes() for shard in shards]
    shards[0].write_bytes(originals[0][:-40])
    shards[1].unlink()
    flipped = bytearray(originals[2])
    flipped[-3] ^= 1
    shards[2].write_bytes(flipped)
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: missing"):
        TrajectoryStore(tmp_path)
    make_trajectories(recipe.model_copy(update={"pairs": 9}), store, tmp_path, ignore)
    assert [shard.read_bytes() for shard in shards] == originals
    assert caplog.text.count("damaged; made again") == 2


def test_files_made_otherwise_are_thrown_away(recipe: TrajectoriesRecipe, store: Path, tmp_path: Path) -> None:
    make_trajectories(recipe, store, tmp_path, ignore)
    before = (tmp_path / "shard-00000.safetensors").read_bytes()
    make_trajectories(recipe.model_copy(update={"guidance": 1.0}), store, tmp_path, ignore)
    assert (tmp_path / "shard-00000.safetensors").read_bytes() != before
