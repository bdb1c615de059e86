"""Stages 3 and 4 on a tiny model: whose turn, what learns, what is remembered, and resuming to the bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ignore

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.core.errors import InputError
from shotstream.training.data.material import MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSettings
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.loop import Progress, Run
from shotstream.training.engine.stage import LoopSettings, LoraSettings, OptimiserSettings
from shotstream.training.methods.self_forcing import DmdSettings, Rollout, Starts, roll_out
from shotstream.training.stages.inter_shot import InterShotRecipe, InterShotStage
from shotstream.training.stages.intra_shot import IntraShotRecipe, IntraShotStage

SHOTS = 3
SelfForcing = IntraShotStage | InterShotStage
Make = Callable[..., SelfForcing]


@pytest.fixture(params=["intra", "inter"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.getfixturevalue(f"make_{request.param}")


@pytest.fixture
def shared(material: MaterialSettings, preset_file: str, tiny_model: Path) -> dict[str, object]:
    optimiser = OptimiserSettings(kind="adamw", rate=1e-3, ema=0.5)
    return {
        "preset": preset_file,
        "material": material,
        "start": Starts(
            teacher=str(tiny_model / "teacher.safetensors"), student=str(tiny_model / "student.safetensors")
        ),
        "dmd": DmdSettings(critic_updates=2, critic_warmup=2),
        "student": optimiser,
        "critic": optimiser,
        "loop": LoopSettings(updates=8, warmup=0, decay=0, save_every=5, look_every=100, dtype="float32"),
    }


@pytest.fixture
def make_intra(shared: dict[str, object], store: Path) -> Make:
    def make(**changed: object) -> IntraShotStage:
        settings = {
            "samples": NextShotSettings(batch=2, lengths={3: 0.5, 6: 0.5}, caption_drop=0),
            "buffer": 2,
            **shared,
            **changed,
        }
        return IntraShotStage(IntraShotRecipe.model_validate(settings), store, ignore)

    return make


@pytest.fixture
def make_inter(shared: dict[str, object], store: Path) -> Make:
    def make(**changed: object) -> InterShotStage:
        settings = {"batch": 2, "shots": SHOTS, "lengths": {3: 0.5, 6: 0.5}, **shared, **changed}
        return InterShotStage(InterShotRecipe.model_validate(settings), store, ignore)

    return make


def test_the_critic_warms_up_and_then_five_critic_updates_follow_each_of_the_student(make_intra: Make) -> None:
    stage = make_intra(dmd=DmdSettings(critic_updates=5, critic_warmup=4))
    turns = [stage.learner(update) for update in range(16)]
    assert turns == ["critic"] * 4 + ["student", *["critic"] * 5] * 2


def test_every_place_in_a_story_comes_to_train_the_student(make_inter: Make) -> None:
    stage = make_inter(dmd=DmdSettings(critic_updates=5, critic_warmup=0))
    turns = [stage.learner(update) for update in range(6 * SHOTS)]
    assert Counter(turns) == {"student": SHOTS, "critic": 5 * SHOTS}
    assert {update % SHOTS for update, turn in enumerate(turns) if turn == "student"} == set(range(SHOTS))


def test_an_update_moves_the_role_whose_turn_it_is_and_no_other(make: Make, tmp_path: Path) -> None:
    stage = make()
    run = Run(stage, tmp_path)
    for update in range(4):
        turn = stage.learner(update)
        report = stage.loss(update, turn)
        report.loss.backward()
        for name, role in stage.roles.items():
            parameters = dict(role.module.named_parameters())
            touched = {key for key, value in parameters.items() if value.grad is not None}
            assert (touched == set(parameters)) if name == turn else not touched, (update, name)
            role.module.zero_grad()
    assert run.update == 0


def test_a_resumed_run_is_the_uninterrupted_run(make: Make, tmp_path: Path) -> None:
    whole, broken = Run(make(), tmp_path / "whole"), Run(make(), tmp_path / "broken")
    whole.train(ignore)

    def stop(progress: object) -> None:
        if broken.update == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.train(stop)
    resumed = Run(make(), tmp_path / "broken")
    assert resumed.resume() and resumed.update == 5
    resumed.train(ignore)
    curves = [read_curve(tmp_path / name / "curve.jsonl") for name in ("whole", "broken")]
    assert curves[0] == curves[1]
    for role in ("student", "critic"):
        models = [load_transformer(tmp_path / name / f"{role}.safetensors")[0] for name in ("whole", "broken")]
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(*(m.parameters() for m in models), strict=True))


@pytest.mark.parametrize("ema", [0.0, 0.1])
def test_the_average_of_the_student_is_what_is_released(make: Make, tmp_path: Path, ema: float) -> None:
    """Followed by hand over the updates in which the student learned; an early average follows by n / (n + 10)."""
    name = "blocks.0.ffn.0.weight"
    stage = make(
        dmd=DmdSettings(critic_updates=1, critic_warmup=0),
        student=OptimiserSettings(kind="adamw", rate=1e-2, ema=ema),
    )
    learning = stage.roles["student"].module.get_parameter(name)
    average, steps = learning.detach().double().clone(), 0

    def follow(progress: Progress) -> None:
        nonlocal average, steps
        if stage.learner(progress.update - 1) == "student":
            steps += 1
            average = average.lerp(learning.detach().double(), 1 - min(ema, steps / (steps + 10)))

    Run(stage, tmp_path).train(follow)
    assert steps > 2
    released = load_transformer(tmp_path / "student.safetensors")[0].get_parameter(name)
    torch.testing.assert_close(released.double(), average, rtol=1e-3, atol=1e-5)
    assert torch.allclose(released, learning, rtol=1e-3, atol=1e-5) == (ema == 0)


def test_bfloat16_and_adapters_train_and_release_whole_weights(make_intra: Make, tmp_path: Path) -> None:
    adapted = OptimiserSettings(kind="adamw", rate=1e-2, lora=LoraSettings(rank=2))
    stage = make_intra(student=adapted, critic=adapted, loop=LoopSettings(updates=3, warmup=0, decay=0, look_every=100))
    before = {name: value.clone() for name, value in stage.roles["critic"].module.named_parameters()}
    Run(stage, tmp_path).train(ignore)
    released = dict(load_transformer(tmp_path / "critic.safetensors")[0].named_parameters())
    assert released.keys() == before.keys()
    moved = {name for name in before if not torch.allclose(before[name], released[name], atol=2e-3)}
    assert moved and all(name.startswith("blocks.") and name.endswith(".weight") for name in moved)
    assert (tmp_path / "student-lora" / "adapter_model.safetensors").exists()


def test_a_length_that_is_no_whole_number_of_blocks_is_refused(make_inter: Make) -> None:
    with pytest.raises(InputError, match="lengths: 4 latent frames; this stage needs whole blocks of 3"):
        make_inter(lengths={4: 1.0})


def test_the_real_score_is_guided_away_from_the_negative_prompt(make: Make) -> None:
    plain, told = make(), make(changes={"negative_prompt": "a wide shot"})
    assert plain.material.unconditional is None
    (negative,) = told.material.text.encode(["a wide shot"])
    assert told.material.unconditional is not None and torch.equal(told.material.unconditional, negative)
    losses = [stage.loss(0, "student").metrics["real_distance"] for stage in (plain, told)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("first", [0, 2])
def test_rollouts_end_at_the_first_exit_or_later(make: Make, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make(dmd=DmdSettings(first_exit=first))
    ends = set()

    def watched(*arguments: Any, exit_step: int, **named: Any) -> Rollout:
        ends.add(exit_step)
        return roll_out(*arguments, exit_step=exit_step, **named)

    monkeypatch.setattr("shotstream.training.methods.self_forcing.roll_out", watched)
    for update in range(16):
        stage.loss(update, "critic")
    assert ends == set(range(first, 4))


def test_there_must_be_a_step_to_end_at(make: Make) -> None:
    with pytest.raises(InputError, match=r"dmd.first_exit: 4, but the student's steps are 0 to 3"):
        make(dmd=DmdSettings(first_exit=4))
