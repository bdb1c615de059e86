"""A check of a machine, at toy size: every part measures, and whatever ends it, what it had measured is there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from shotstream.cli.main import main
from shotstream.core.errors import InputError
from shotstream.families.wan import WAN_1_3B
from shotstream.sampling.gpu_speedups import GPU_SPEEDUPS
from shotstream.tools.bench.roofline import shot_flops
from shotstream.tools.gpu_check import part, run
from shotstream.tools.gpu_check.run import Ledger, read_lines
from shotstream.tools.gpu_check.speed import TOY_SIZES, denoising_flops, speedups_on

GOLDEN = Path(__file__).parents[1] / "golden"


def measured(name: str, folder: Path, *settings: str, seconds: float = 300, recordings: Path = GOLDEN) -> list[Any]:
    """What the part ``name`` writes down, run in this process."""
    file = folder / f"{name}.jsonl"
    asked = {"device": "cpu", "recordings": str(recordings), "out": str(folder), "settings": settings}
    code = part.main(name, str(file), str(seconds), json.dumps(asked))
    lines = read_lines(file)
    assert code == any("failed" in line and "setup" not in line for line in lines)
    return lines


def test_wan_is_measured_with_both_decoders_and_with_speedups_switched(tmp_path: Path) -> None:
    lines = measured("wan", tmp_path)
    shipped = [line for line in lines if line.get("setup") == "as shipped"]
    assert [line["decoder"] for line in shipped] == ["Wan's", "light", "Wan's"]
    switched = [line["setup"] for line in lines if "setup" in line][3:]
    assert switched == ["with two-steps", "without fused-refresh"]
    for line in shipped:
        assert (line["width"], line["height"], line["frames"]) == (64, 48, 21)
        assert min(line["end_to_end_fps"], line["denoise_fps"], line["first_frame"], line["context"]) > 0
        assert line["share_of_product"] == pytest.approx(line["flops"] / lines[0]["large_product_flops"])
        assert line["share_of_peak"] is None
    assert lines[-4].get("peak_memory_bytes", 0) > 0


def test_the_packaged_model_is_measured(tmp_path: Path) -> None:
    lines = measured("embedded", tmp_path)
    setups = [line["setup"] for line in lines if "setup" in line]
    assert setups == ["as shipped", "with two-steps", "without fused-refresh"]
    assert not any("failed" in line for line in lines)


def test_a_speedup_is_left_out_when_the_time_is_over(tmp_path: Path) -> None:
    lines = measured("embedded", tmp_path, seconds=0)
    assert [line["setup"] for line in lines if "setup" in line] == ["as shipped", "with two-steps"]


def test_the_world_is_drawn_learnt_from_and_the_weights_come_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shotstream.training.data.latent_store.SHARD", 1)
    monkeypatch.setattr("shotstream.training.data.story_sources.SHARD", 1)
    monkeypatch.setattr("shotstream.tools.gpu_check.part.PIECE", 100_000)
    lines = measured("training", tmp_path, "loop.updates=2", "loop.look_every=2")
    assert [line["update"] for line in lines if "update" in line] == [2]
    told = lines[-1]
    assert told["updates"] == 2 and len(told["pieces"]) == -(-told["bytes"] // 100_000) > 1
    whole = b"".join((tmp_path / name).read_bytes() for name in told["pieces"])
    assert hashlib.sha256(whole).hexdigest() == told["sha256"] and len(whole) == told["bytes"]
    (tmp_path / "joined.safetensors").write_bytes(whole)
    assert main(["models", "info", str(tmp_path / "joined.safetensors")]) == 0


def test_training_ends_with_its_time_and_leaves_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shotstream.training.data.latent_store.SHARD", 1)
    monkeypatch.setattr("shotstream.training.data.story_sources.SHARD", 1)
    lines = measured("training", tmp_path, seconds=1)  # of 200,000 updates, one
    assert lines[-1]["updates"] == 1 and (tmp_path / lines[-1]["pieces"][0]).is_file()


def test_weights_of_too_many_pieces_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shotstream.tools.gpu_check.part import in_pieces

    monkeypatch.setattr("shotstream.tools.gpu_check.part.PIECE", 10)
    (tmp_path / "w.safetensors").write_bytes(bytes(61))
    with pytest.raises(InputError, match=r"w\.safetensors: 0 MB are more than 6 pieces hold"):
        in_pieces(tmp_path / "w.safetensors", tmp_path)


def test_a_part_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    lines = measured("training", tmp_path, "samples.batch=none")
    assert "samples.batch" in lines[-1]["failed"] and "\n" not in lines[-1]["failed"]


def test_without_recordings_they_are_skipped(tmp_path: Path) -> None:
    (line,) = measured("verify", tmp_path, recordings=tmp_path)
    assert "no recordings" in line["skipped"]


# Stands in for Python: writes two measurements, then half of a third, starts a process of its own, and never ends.
ENDLESS = """#!{python}
import subprocess, sys, time
file = sys.argv[4]
with open(file, "a") as out:
    out.write('{{"one": 1}}\\n{{"two": 2}}\\n{{"thr')
child = subprocess.Popen(["sleep", "600"])
with open({told!r}, "w") as out:
    out.write(str(child.pid))
time.sleep(600)
"""


def test_what_was_measured_before_the_time_was_over_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, python = tmp_path / "pid", tmp_path / "python"
    python.write_text(ENDLESS.format(python=sys.executable, told=str(told)))
    python.chmod(0o755)
    monkeypatch.setattr(run.sys, "executable", str(python))
    monkeypatch.setattr(run, "GRACE", 0.5)
    monkeypatch.setattr(run, "LOOKED_EVERY", 0.1)
    heard: list[str] = []
    asked = {"device": "cpu", "recordings": "", "out": str(tmp_path)}
    run.gpu_check(tmp_path, asked, minutes=0.05, parts=["verify", "wan"], machine={"device": "cpu"}, tell=heard.append)
    found = json.loads((tmp_path / run.REPORT).read_text())
    assert [told["status"] for told in found["parts"].values()] == ["cut off", "cut off"]
    assert found["parts"]["wan"]["measured"] == [{"one": 1}, {"two": 2}]
    assert "wan: cut off" in heard[1]
    state = Path(f"/proc/{told.read_text()}/stat")
    deadline = time.monotonic() + 30  # the signal is sent; a busy machine takes a moment to act on it
    while state.exists() and ") Z" not in state.read_text():  # what a part had started is gone with it
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_command_replays_the_recordings_in_a_process_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["gpu-check", "--only", "verify", "--device", "cpu", "--recordings", str(GOLDEN)]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    said = capfd.readouterr()
    verified = json.loads(said.out)["parts"]["verify"]
    assert verified["status"] == "done" and len(verified["measured"]) == 8
    assert all(line["ok"] and line["largest_relative_error"] <= line["tolerance"] for line in verified["measured"])
    assert "no GPU, toy sizes" in said.err and "verify: done" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "paint"], "no such part; use one of verify, wan, embedded, training"),
        (["batch"], "a changed setting looks like key=value"),
        (["--device", "abacus"], "no device is called"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu-check", *words]) == 2
    assert said in capfd.readouterr().err


ABSENT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(name, name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
from shotstream.tools.gpu_check import part
if {train}:
    import shotstream.tools.gpu_check.part, shotstream.training.stages.teacher
"""


@pytest.mark.parametrize(("absent", "train"), [(("av",), True), (("av", "skia", "diffusers"), False)])
def test_it_runs_where_libraries_are_missing(absent: tuple[str, ...], train: bool) -> None:
    """PyAV for nothing; Skia for the training alone; diffusers for Wan's autoencoder alone."""
    code = ABSENT.format(absent=absent, train=train)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_diffusers_the_light_decoder_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    lines = measured("wan", tmp_path)
    decoders = {line["decoder"] for line in lines if "decoder" in line}
    assert decoders == {"light, shots without a past (diffusers is not installed)"}
    assert not any("failed" in line for line in lines)


def test_operations_are_those_of_the_roofline_but_for_the_last_refresh() -> None:
    blocks, tokens = WAN_1_3B.geometry.max_blocks, 512
    more = shot_flops(WAN_1_3B) - denoising_flops(WAN_1_3B, blocks, tokens)
    assert 0 < more < shot_flops(WAN_1_3B) / (5 * blocks) * 1.6  # one of the most expensive of 35 passes


def test_lines_that_were_not_finished_do_not_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.jsonl", 10)
    ledger.tell(one=1)
    with (tmp_path / "a.jsonl").open("a") as out:
        out.write('{"tw')
    assert read_lines(tmp_path / "a.jsonl") == [{"one": 1}] and read_lines(tmp_path / "b.jsonl") == []
    assert 0 < ledger.left <= 10


def test_on_a_cpu_nothing_is_asked_for_that_only_a_gpu_has() -> None:
    names, more = speedups_on(torch.device("cpu")), speedups_on(torch.device("cuda"))
    assert "compile" not in names and set(names) < set(more)
    own = [*GPU_SPEEDUPS, "gpu-together", "cudnn", "fa3", "fa4", "fp8-matmuls"]
    assert more == [*own, *names]
    assert TOY_SIZES.speedups is not None and set(TOY_SIZES.speedups) <= set(names)
