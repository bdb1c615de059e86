"""``shotstream bench``: what can be asked without measuring, and one whole run of a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shotstream.tools.bench import run as bench_run
from shotstream.tools.bench.setups import SPEEDUPS

Command = Callable[..., Any]
STABLE = {
    "end_to_end_fps",
    "denoise_fps",
    "prompt_to_first_frame",
    "shot_cost_growth",
    "memory_growth",
    "model_flops_utilization",
    "matmul_ceiling",
    "same_shape_ceiling",
    "peak_memory_bytes",
    "baseline",
}
PARTS = {"text", "context_pass", "denoising", "cache_refresh", "decode", "encode", "rest"}


def test_plan(run: Command) -> None:
    ran = run("bench", "--plan", "rtx 4090")
    assert ran.code == 0 and "10.5 at 100%, 6.3 at 60%, 4.2 at 40%" in ran.out
    data = json.loads(run("bench", "--plan", "H100", "--json").out)
    assert [(one["width"], one["height"]) for one in data["sizes"]] == [(832, 480), (512, 288)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plan", "abacus"), "known: H100, "),
        (("--without", "turbo"), "no speed-up is called 'turbo'"),
        (("--without", "compile"), "--without compile: it is off by default"),
        (("--with", "bf16"), "--with bf16: it is on by default"),
        (("--figures", "missing.json"), "missing.json: cannot be read"),
        (("--with", "compile", "--device", "cpu"), "compile: is for GPUs"),
        (("--only", "cuda-graphs", "--device", "cpu"), "cuda-graphs: is for GPUs"),
        (("--device", "abacus"), "no device is called"),
    ],
)
def test_what_cannot_be_measured_is_one_line(run: Command, arguments: tuple[str, ...], said: str) -> None:
    ran = run("bench", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err


def test_figures_that_are_none(run: Command, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text('{"end_to_end_fps": "fast"}')
    ran = run("bench", "--figures", path)
    assert ran.code == 2 and "figures.json: end_to_end_fps: " in ran.err and ran.err.count("\n") == 1


def test_a_speed_up_that_is_none_is_named(run: Command) -> None:
    ran = run("bench", "--only", "turbo")
    assert ran.code == 2 and "no speed-up is called 'turbo'" in ran.err


def test_a_whole_run(run: Command, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = bench_run.Effort(
        shots=4, samples=2, looked_at=2, naive=2, side=64, starts=1, effect_shots=2, effect_samples=1, repeats=1
    )
    monkeypatch.setattr(bench_run, "QUICK", small)
    names = [name for name, one in SPEEDUPS.items() if not one.gpu_only]
    each = [word for name in names for word in ("--only", name)]
    ran = run("bench", "--quick", *each, "--json", "--model", tiny_model, "--device", "cpu")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert list(data)[: len(STABLE)] and set(data) >= STABLE
    assert set(data["baseline"]) == {"end_to_end_fps", "denoise_fps", "seconds_to_first_frame"}
    assert set(data["prompt_to_first_frame"]) == {"p50", "p95"}
    assert set(data["breakdown"]) >= PARTS
    assert data["quick"] and data["frames"] == 4 * 21 and data["startup"]["help_loads_torch"] is False
    assert [one["name"] for one in data["effects"]] == names
    assert [one["name"] for one in data["effects"] if one["failed"]] == ["light-decoder"]  # the tiny model has none
    measured = {one["name"]: (one["end_to_end"] or 0, one["first_frame"] or 0) for one in data["effects"]}
    assert min(measured["fused-refresh"]) > 0 and measured["text-ahead"][0] == 0 == measured["overlap-encode"][1]
    (tmp_path / "bench.json").write_text(ran.out)
    again = run("bench", "--figures", tmp_path / "bench.json")
    assert again.code == 0 and f"end to end: {data['end_to_end_fps']:.1f} frames/s" in again.out
