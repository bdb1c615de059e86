"""Two processes are one: the same losses and the same weights, whole or in shards, killed and resumed by any number."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import team
import torch
from runs import build
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.training.data.material import MaterialSettings
from shotstream.training.distributed import Processes, spread
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.recipes import read_recipe

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")

ADAMW: dict[str, Any] = {"kind": "adamw", "rate": 1e-3, "ema": 0.5}
LOOP: dict[str, Any] = {
    "updates": 6,
    "warmup": 0,
    "decay": 0,
    "save_every": 3,
    "look_every": 100,
    "dtype": "float32",
    "accumulate": 2,
}
SHARDED = {"sharded": True, "checkpoint_activations": True}
# name: (stage, changes to its loop and optimisers, processes, after which update it is killed and how many go on)
Plan = tuple[str, dict[str, Any], dict[str, Any], int, tuple[int, int] | None]
PLANS: dict[str, Plan] = {
    "teacher": ("teacher", {}, {}, 1, None),
    "teacher-shards": ("teacher", SHARDED, {}, 2, (4, 2)),
    "teacher-fewer": ("teacher", SHARDED, {}, 2, (4, 1)),
    "teacher-more": ("teacher", SHARDED, {}, 1, (4, 2)),
    "half": ("teacher", {"dtype": "bfloat16"}, {}, 1, None),
    "half-shards": ("teacher", SHARDED | {"dtype": "bfloat16"}, {}, 2, None),
    "muon": ("teacher", {}, {"kind": "muon"}, 1, None),
    "muon-two": ("teacher", {}, {"kind": "muon"}, 2, (4, 2)),
    "intra": ("intra-shot", {}, {}, 1, None),
    "intra-two": ("intra-shot", {}, {}, 2, (4, 2)),
    "intra-shards": ("intra-shot", SHARDED, {}, 2, (4, 2)),
    "adapters": ("intra-shot", {}, {"lora": {"rank": 2}}, 1, None),
    "adapters-shards": ("intra-shot", SHARDED, {"lora": {"rank": 2}}, 2, None),
}
PAIRS = [(name, name.split("-")[0]) for name in PLANS if "-" in name]


@pytest.fixture(scope="module")
def recipes(material: MaterialSettings, preset_file: str, tiny_model: Path) -> dict[str, dict[str, Any]]:
    samples = {"batch": 2, "lengths": {3: 0.5, 6: 0.5}, "caption_drop": 0.0}
    common = {"preset": preset_file, "material": material.model_dump(mode="json"), "samples": samples, "loop": LOOP}
    start = {role: str(tiny_model / f"{role}.safetensors") for role in ("teacher", "student")}
    dmd = {"critic_updates": 1, "critic_warmup": 1}
    return {
        "teacher": {**common, "stage": "teacher", "start": start["teacher"], "optimiser": ADAMW},
        "intra-shot": {
            **common,
            "stage": "intra-shot",
            "start": start,
            "dmd": dmd,
            "buffer": 2,
            "student": ADAMW,
            "critic": ADAMW,
        },
    }


def recipe_of(plan: Plan, recipes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    stage, loop, optimiser = plan[:3]
    recipe = recipes[stage]
    learning = {role: {**recipe[role], **optimiser} for role in ("optimiser", "student", "critic") if role in recipe}
    return {**recipe, **learning, "loop": {**recipe["loop"], **loop}}


@pytest.fixture(scope="module")
def trained(recipes: dict[str, dict[str, Any]], store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per plan, trained to the end by real processes."""
    root = tmp_path_factory.mktemp("runs")
    jobs = []
    for name, plan in PLANS.items():
        job = {
            "recipe": recipe_of(plan, recipes),
            "store": str(store),
            "folder": str(root / name),
            "processes": plan[3],
            "until": plan[4] and plan[4][0],
        }
        jobs += [job] if plan[4] is None else [job, {**job, "processes": plan[4][1], "until": None}]
    (root / "jobs.json").write_text(json.dumps(jobs))
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(
        [sys.executable, team.__file__, str(root / "jobs.json")],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    return root


def weights(name: str, trained: Path, recipes: dict[str, dict[str, Any]], store: Path) -> dict[str, Tensor]:
    """Everything in the last checkpoint of a run, as one process reads it."""
    path = trained / f"{name}.yaml"
    run = Run(build(read_recipe(str(path)), store), trained / name)
    assert run.resume() and run.update == LOOP["updates"]
    return {f"{role}.{key}": value for role, state in run._roles.items() for key, value in state.tensors().items()}


@pytest.mark.parametrize(("name", "alone"), PAIRS)
def test_losses_and_weights_are_those_of_one_process(
    name: str, alone: str, trained: Path, recipes: dict[str, dict[str, Any]], store: Path
) -> None:
    faults = [path.read_text() for path in (trained / name).glob("fault-*")]
    assert not faults, faults[0]
    ours, theirs = (read_curve(trained / run / "curve.jsonl") for run in (name, alone))
    assert ours.keys() == theirs.keys()
    for role, points in theirs.items():
        assert [update for update, _ in ours[role]] == [update for update, _ in points]
        near = 1e-2 if alone == "half" else 1e-4
        assert [loss for _, loss in ours[role]] == pytest.approx([loss for _, loss in points], rel=near)
    mine, others = (weights(run, trained, recipes, store) for run in (name, alone))
    assert mine.keys() == others.keys()
    if alone == "half":  # AdamW's first steps are as large for a gradient of noise as for any other
        apart = [(mine[key] - value).abs().mean() for key, value in others.items() if ".module." in key]
        assert float(torch.stack(apart).mean()) < 0.1 * ADAMW["rate"] * LOOP["updates"]
        return
    for key, value in others.items():
        torch.testing.assert_close(mine[key], value, rtol=1e-3, atol=2e-4, msg=lambda said, key=key: f"{key}: {said}")


def test_it_learned_at_all(trained: Path, recipes: dict[str, dict[str, Any]], store: Path) -> None:
    fresh = Run(build(read_recipe(str(trained / "teacher.yaml")), store), trained / "untrained")
    before = fresh._roles["teacher"].tensors()["module.blocks.0.ffn.0.weight"]
    after = weights("teacher", trained, recipes, store)["teacher.module.blocks.0.ffn.0.weight"]
    assert float((after - before).abs().max()) > 2e-3


def test_one_picture_one_release_and_two_checkpoints_are_left(trained: Path) -> None:
    folder = trained / "intra-shards"
    assert (folder / "student.safetensors").exists() and len(list(folder.glob("look-*.png"))) == 1
    assert sorted(path.name for path in folder.glob("state-*")) == ["state-00000003", "state-00000006"]
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("damage", ["shard", "gone", "contents"])
def test_a_folder_that_is_not_what_was_written_is_passed_over(
    damage: str, trained: Path, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(trained / "teacher-shards", tmp_path / "run")
    newest = tmp_path / "run" / "state-00000006"
    shard = sorted(newest.glob("*.safetensors"))[-1]
    if damage == "shard":
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(data)
    elif damage == "gone":
        shard.unlink()
    else:
        (newest / "contents.json").unlink()
    run = Run(build(read_recipe(str(trained / "teacher-shards.yaml")), store), tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        assert run.resume()
    assert run.update == 3
    assert "state-00000006: damaged" in caplog.text


def test_what_cannot_be_spread_is_refused_in_one_line() -> None:
    two = Processes(rank=0, count=2)
    linear = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"loop.accumulate=3 parts cannot be shared by 2 processes evenly"):
        spread("teacher", linear, OptimiserSettings(), LoopSettings(updates=1, accumulate=3), two)
    loop = LoopSettings(updates=1, accumulate=2, sharded=True)
    with pytest.raises(InputError, match="reader is no transformer"):
        spread("reader", linear, OptimiserSettings(kind="adamw"), loop, two)
    from shotstream.models.transformer import Transformer
    from shotstream.training.recipes import NANO

    with pytest.raises(InputError, match="teacher learns by Muon"):
        spread("teacher", Transformer(NANO.transformer), OptimiserSettings(kind="muon"), loop, two)
    with pytest.raises(ValueError, match="compile does not go together with sharded"):
        LoopSettings(updates=1, compile=True, sharded=True)
