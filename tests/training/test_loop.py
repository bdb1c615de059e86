"""One loop: resumed equals uninterrupted, damage is passed over, a loss that is no number stops the run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from shotstream.core.randomness import stream
from shotstream.training.curve import read_curve
from shotstream.training.loop import Run, TrainingStopped
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import LossReport, Role, names


class LineStage:
    """Two roles fit the same line, by turns."""

    def __init__(self, updates: int = 12, break_at: int | None = None) -> None:
        torch.manual_seed(0)
        optimiser = OptimiserSettings(kind="adamw", rate=0.05, ema=0.5)
        self.roles = {name: Role(nn.Linear(3, 1), optimiser) for name in ("student", "critic")}
        self.loop = LoopSettings(updates=updates, warmup=2, decay=0.5, save_every=5, look_every=5, dtype="float32")
        self.break_at = break_at

    def turn(self, update: int) -> str:
        return "student" if update % 3 == 0 else "critic"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        x = torch.randn(16, 3, generator=stream(1, "line", *names(update, part)))
        loss = (self.roles[role].module(x)[:, 0] - x.sum(1)).square().mean()
        return LossReport(loss * (float("nan") if update == self.break_at else 1.0), len(x))

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return Image.new("RGB", (4, 4)), {"weight": float(next(averaged["student"].parameters()).sum())}

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        save_file(averaged["student"].state_dict(), folder / "student.safetensors")


def train(stage: LineStage, folder: Path) -> None:
    run = Run(stage, folder)
    run.resume()
    run.train(lambda progress: None)


class Interrupted(Exception):
    pass


def train_until(update: int, folder: Path) -> None:
    """Train, and be killed after ``update``."""
    run = Run(LineStage(), folder)
    run.resume()

    def watch(progress: object) -> None:
        if run.update == update:
            raise Interrupted

    with pytest.raises(Interrupted):
        run.train(watch)


def test_a_killed_and_resumed_run_is_the_uninterrupted_run(tmp_path: Path) -> None:
    train(LineStage(), tmp_path / "whole")
    train_until(7, tmp_path / "broken")
    train_until(11, tmp_path / "broken")
    train(LineStage(), tmp_path / "broken")
    assert read_curve(tmp_path / "broken" / "curve.jsonl") == read_curve(tmp_path / "whole" / "curve.jsonl")
    whole, broken = (load_file(tmp_path / name / "student.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_the_loss_falls_and_pictures_are_left(tmp_path: Path) -> None:
    train(LineStage(updates=60), tmp_path)
    losses = [loss for _, loss in read_curve(tmp_path / "curve.jsonl")["critic"]]
    assert losses[-1] < 0.3 * losses[0]
    assert (tmp_path / "curve.png").exists()
    assert (tmp_path / "look-00000060.png").exists()


def test_the_last_two_checkpoints_stay_and_a_damaged_one_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(LineStage(), tmp_path)
    kept = sorted(path.name for path in tmp_path.glob("state-*.pt"))
    assert kept == ["state-00000010.pt", "state-00000012.pt"]
    damaged = tmp_path / kept[-1]
    damaged.write_bytes(damaged.read_bytes()[:100])
    run = Run(LineStage(), tmp_path)
    with caplog.at_level(logging.WARNING):
        assert run.resume()
    assert run.update == 10
    assert "state-00000012.pt: damaged" in caplog.text


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"loss of critic is nan at update 7; .*state-00000005\.pt"):
        train(LineStage(break_at=7), tmp_path)


def test_a_torn_line_ends_the_reading_of_a_curve(tmp_path: Path) -> None:
    lines = [json.dumps({"update": n, "role": "a", "loss": 1.0}) for n in (1, 2)]
    (tmp_path / "curve.jsonl").write_text("\n".join([*lines, '{"update": 3, "ro']))
    assert read_curve(tmp_path / "curve.jsonl") == {"a": [(1, 1.0), (2, 1.0)]}


def test_the_rate_rises_stays_and_falls() -> None:
    settings = LoopSettings(updates=100, warmup=10, decay=0.5)
    factors = [settings.rate_factor(update) for update in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:51] == [1.0] * 41
    assert factors[-1] == pytest.approx(0.02)
