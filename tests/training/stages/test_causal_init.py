"""Causal initialisation: states drawn per block, the golden visibility, clean positions out of the loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from runs import ignore

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.data.trajectory_store import Trajectories
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.methods.losses import block_causal_flow
from shotstream.training.stages.causal_init import CausalInitRecipe, CausalInitStage, mixed_states
from shotstream.training.stages.trajectories import TrajectoriesRecipe, make_trajectories


def pairs(count: int = 64, frames: int = 6) -> Trajectories:
    """State n is the number n everywhere; timesteps fall to 0."""
    states = torch.arange(5.0).reshape(1, 5, 1, 1, 1, 1).expand(count, 5, frames, 4, 2, 4)
    index = torch.zeros(count, 6, dtype=torch.long)
    context = ContextFrames(
        latents=torch.randn(count, 6, 4, 2, 4),
        shot_index=index,
        captions=torch.randn(count, 1, 12, 12),
        caption_index=index,
    )
    return Trajectories(states, torch.tensor([1000.0, 900, 700, 500, 0]), context, torch.randn(count, 12, 12))


def test_every_block_draws_one_state_and_carries_its_timestep() -> None:
    given = pairs()
    noisy, timesteps = mixed_states(given, 3, torch.Generator().manual_seed(0))
    states = noisy[:, :, 0, 0, 0].long()
    assert torch.equal(timesteps, given.timesteps[states])
    assert (states[:, :3] == states[:, :1]).all() and (states[:, 3:] == states[:, 3:4]).all()
    assert (states[:, 0] != states[:, 3]).any()
    assert set(states.flatten().tolist()) == {0, 1, 2, 3, 4}


def test_later_blocks_and_the_shot_are_hidden_from_earlier_ones(tiny_model: Path) -> None:
    model: Transformer = load_transformer(tiny_model / "student.safetensors")[0]
    given, timesteps = pairs(1), torch.full((1, 6), 500.0)
    noisy = torch.randn(1, 6, 4, 2, 4)

    def flow(latents: torch.Tensor) -> torch.Tensor:
        return block_causal_flow(model, given.context, given.caption, latents, timesteps, 3)

    changed = noisy.clone()
    changed[:, 3:] += 1
    assert torch.equal(flow(noisy)[:, :3], flow(changed)[:, :3])
    changed = noisy.clone()
    changed[:, :3] += 1
    assert not torch.allclose(flow(noisy)[:, 3:], flow(changed)[:, 3:])


@pytest.mark.parametrize("true_share", [0.0, 0.5])
def test_the_student_learns_where_trajectories_end(
    true_share: float,
    material: MaterialSettings,
    preset_file: str,
    store: Path,
    tiny_model: Path,
    tmp_path: Path,
    train: Callable[..., object],
) -> None:
    samples = NextShotSettings(batch=4, lengths={6: 1.0}, context_drop=0, caption_drop=0)
    teacher = str(tiny_model / "teacher.safetensors")
    make_trajectories(
        TrajectoriesRecipe(preset=preset_file, material=material, samples=samples, start=teacher, pairs=4, steps=4),
        store,
        tmp_path / "trajectories",
        ignore,
    )
    recipe = CausalInitRecipe(
        preset=preset_file,
        material=material,
        samples=samples,
        trajectories=str(tmp_path / "trajectories"),
        batch=4,
        caption_drop=0,
        true_share=true_share,
        start=teacher,
        optimiser=OptimiserSettings(kind="adamw", rate=1e-2),
        loop=LoopSettings(updates=16, warmup=2, dtype="float32", look_every=100),
    )
    train(CausalInitStage(recipe, store, ignore), tmp_path / "run")
    losses = [loss for _, loss in read_curve(tmp_path / "run" / "curve.jsonl")["student"]]
    assert true_share or sum(losses[-4:]) < 0.8 * sum(losses[:4])
    assert load_transformer(tmp_path / "run" / "student.safetensors")[1].role == "student"
    text = (tmp_path / "run" / "curve.jsonl").read_text()
    assert "regression_loss" in text and ("flow_loss" in text) == bool(true_share)
