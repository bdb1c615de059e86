"""Block-causal flow matching: the student learns, and what it leaves is sampled as long as its teacher is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from runs import ignore

import shotstream
from shotstream.families.preset import read_preset
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.stages.causal_flow import CausalFlowRecipe, CausalFlowStage


def test_what_it_leaves_makes_films(
    material: MaterialSettings,
    preset_file: str,
    store: Path,
    tiny_model: Path,
    tmp_path: Path,
    train: Callable[..., object],
) -> None:
    recipe = CausalFlowRecipe(
        preset=preset_file,
        material=material,
        samples=NextShotSettings(batch=4, lengths={6: 1.0}),
        start=str(tiny_model / "teacher.safetensors"),
        optimiser=OptimiserSettings(kind="adamw", rate=1e-2),
        loop=LoopSettings(updates=24, warmup=2, dtype="float32", look_every=100),
    )
    folder = tmp_path / "run"
    train(CausalFlowStage(recipe, store, ignore), folder)
    losses = [loss for _, loss in read_curve(folder / "curve.jsonl")["student"]]
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])
    named = read_preset(Path(preset_file))
    assert read_preset(folder / "preset.json").student == named.teacher != named.student
    for codec in ("autoencoder", "text_encoder"):
        shutil.copy(tiny_model / f"{codec}.safetensors", folder)
    made = shotstream.load(folder, device="cpu").open(global_caption="a fox", seed=1).shot("it walks", 0.6).wait()
    assert np.ptp(made.frames) > 0
