"""`make pipeline`'s recipe, from nothing to a film: every stage leaves a checkpoint, and the model makes shots."""

from __future__ import annotations

from pathlib import Path

import pytest

from shotstream.api import load
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.recipes import PipelineRecipe, read_recipe
from shotstream.training.run import main


@pytest.mark.soak
def test_every_stage_leaves_a_checkpoint_and_the_model_makes_a_film(tmp_path: Path) -> None:
    main("nano/pipeline", out=tmp_path)
    recipe = read_recipe("nano/pipeline", (), tmp_path)
    assert isinstance(recipe, PipelineRecipe)
    for step in recipe.steps:
        left = "shard-*.safetensors" if step.endswith("trajectories") else "state-*.pt"
        assert list((tmp_path / step).glob(left)), step
    losses = [loss for _, loss in read_curve(tmp_path / "nano/teacher/curve.jsonl")["teacher"]]
    assert sum(losses[-20:]) < 0.8 * sum(losses[100:120])
    film = load(str(tmp_path / "model")).open(global_caption="A red fox in a forest.", seed=1)
    frames = [block.frames for shot in range(2) for block in film.shot(f"The fox walks {shot}.")]
    assert all(block.std() > 1 for block in frames)
