"""One loop: resumed equals uninterrupted, damage is passed over, a loss that is no number stops the run."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from runs import LineStage
from safetensors.torch import load_file

from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.loop import Run, TrainingStopped
from shotstream.training.engine.stage import LoopSettings

BLOWN_UP = dict.fromkeys(range(90, 200), 1e4)  # the loss from update 90 on


def train(stage: LineStage, folder: Path) -> None:
    run = Run(stage, folder)
    run.resume()
    run.train(lambda progress: None)


def test_told_to_end_a_run_saves_the_update_at_hand_and_goes_on_from_it(tmp_path: Path) -> None:
    train(LineStage(), tmp_path / "whole")
    run = Run(LineStage(save_every=100), tmp_path / "ended")

    def end_after_seven(progress: object) -> None:
        if run.update == 7:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        run.train(end_after_seven)
    assert ended.value.code == 143
    again = Run(LineStage(save_every=100), tmp_path / "ended")
    assert again.resume() and again.update == 7
    again.train(lambda progress: None)
    assert read_curve(tmp_path / "ended" / "curve.jsonl") == read_curve(tmp_path / "whole" / "curve.jsonl")


def test_a_run_is_saved_by_the_clock(tmp_path: Path) -> None:
    train_until(7, tmp_path, save_every=100, save_minutes=1e-9)
    run = Run(LineStage(), tmp_path)
    assert run.resume() and run.update == 6  # interrupted before the seventh was written


class Interrupted(Exception):
    pass


def train_until(update: int, folder: Path, **stage: Any) -> None:
    """Train, and be interrupted after ``update``."""
    run = Run(LineStage(**stage), folder)
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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_process_killed_without_warning_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    train(LineStage(), tmp_path / "whole")
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(Path(runs.__file__)), str(tmp_path / "killed"), "8"]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    train(LineStage(), tmp_path / "killed")
    assert read_curve(tmp_path / "killed" / "curve.jsonl") == read_curve(tmp_path / "whole" / "curve.jsonl")
    whole, again = (load_file(tmp_path / name / "student.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_parts_of_an_update_are_other_samples_and_their_gradients_are_averaged(tmp_path: Path) -> None:
    stage = LineStage(updates=1, accumulate=2)
    module = stage.roles["student"].module
    for part in range(2):
        (stage.loss(0, "student", part).loss / 2).backward()
    norm = float(torch.cat([parameter.grad.flatten() for parameter in module.parameters()]).norm())
    module.zero_grad()
    stage.parts.clear()
    train(stage, tmp_path)
    assert stage.parts == [(0, 0), (0, 1)]
    line = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[0])
    assert line["norm"] == pytest.approx(norm, rel=1e-5)
    assert line["part"] == 0.5


def test_a_loss_that_leaves_its_level_for_good_stops_the_run(tmp_path: Path) -> None:
    stage = LineStage(updates=200, look_every=1000, factor_at=BLOWN_UP)
    with pytest.raises(TrainingStopped, match=r"loss of student diverges: .* at update 90; .*state-00000090"):
        train(stage, tmp_path)


def test_a_resumed_run_is_judged_as_the_whole_one(tmp_path: Path) -> None:
    """The losses before the checkpoint count: it does not take another window of bad ones to notice."""
    stopped = []
    for name, kill in (("whole", False), ("broken", True)):
        if kill:
            train_until(86, tmp_path / name, updates=200, look_every=1000, factor_at=BLOWN_UP)
        with pytest.raises(TrainingStopped) as fault:
            train(LineStage(updates=200, look_every=1000, factor_at=BLOWN_UP), tmp_path / name)
        stopped.append(str(fault.value).split(" of ")[1])
    assert stopped[0].split(";")[0] == stopped[1].split(";")[0]


def test_the_loss_falls_and_pictures_are_left(tmp_path: Path) -> None:
    train(LineStage(updates=60, look_every=60), tmp_path)
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
        train(LineStage(factor_at={7: float("nan")}), tmp_path)


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
