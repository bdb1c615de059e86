"""The YAML files published beside weights are fetched, and what they say otherwise than the preset is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hub_server import serve

from shotstream.checkpoints import model_files
from shotstream.checkpoints.pull import compare, keep_published
from shotstream.families.wan import NEGATIVE_PROMPT, WAN_1_3B

pytest.importorskip("huggingface_hub")

# In the names and the form of the Self-Forcing line's configs, with the published numbers of METHOD's sources.
AGREES = f"""
denoising_step_list: [1000, 740, 500, 260]
warp_denoising_step: true
num_train_timestep: 1000
image_or_video_shape: [1, 21, 16, 60, 104]
num_frame_per_block: 3
context_noise: 0
total_batch_size: 64
negative_prompt: {NEGATIVE_PROMPT}
model_kwargs:
  timestep_shift: 8.0
  local_attn_size: -1
"""
DIFFERS = "denoising_step_list: [1000, 500, 0]\nmodel_kwargs: {timestep_shift: 5.0}\nnum_frame_per_block: 3\n"


def told(root: Path, folder: Path, files: dict[str, str], local: dict[str, str] | None = None) -> list[str]:
    repo = root / "hub" / "KlingTeam" / "ShotStream"
    for base, texts in ((repo, {"README.md": "-"} | files), (root / "local", local or {})):
        for name, text in texts.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(text)
    (root / "local").mkdir(exist_ok=True)
    said: list[str] = []
    with serve(root / "hub") as hub:
        keep_published(
            "KlingTeam/ShotStream", WAN_1_3B, folder, local=[root / "local"], endpoint=hub.endpoint, tell=said.append
        )
    return said


def test_they_are_kept_and_differences_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    said = told(tmp_path, folder, {"configs/agrees.yaml": AGREES, "other.yml": DIFFERS})
    assert (folder / "published" / "configs" / "agrees.yaml").read_text() == AGREES
    agrees, differs = said
    assert agrees.startswith("published/configs/agrees.yaml: agrees with the preset wan-1.3b in all it says of it")
    assert "timestep_shift" in agrees and "total_batch_size" not in agrees
    assert differs == (
        "published/other.yml: differs from the preset wan-1.3b: denoising_step_list [1000, 500], here "
        "[1000, 740, 500, 260]; timestep_shift 5.0, here 8.0"
    )


def test_what_a_local_folder_holds_is_not_fetched(tmp_path: Path) -> None:
    (line,) = told(tmp_path, tmp_path / "model", {"a.yaml": DIFFERS}, {"configs/a.yaml": AGREES})
    assert "agrees" in line


def test_without_any_the_preset_stands(tmp_path: Path) -> None:
    (line,) = told(tmp_path, tmp_path / "model", {})
    assert line == "published configs: KlingTeam/ShotStream has none; the preset wan-1.3b stands as it is"


def test_a_hub_that_cannot_be_asked_does_not_undo_the_pull(tmp_path: Path) -> None:
    said: list[str] = []
    closed = "http://127.0.0.1:9"
    keep_published("KlingTeam/ShotStream", WAN_1_3B, tmp_path, local=[], endpoint=closed, tell=said.append)
    assert "not fetched" in said[0] and all("\n" not in line for line in said)


def test_a_hub_that_never_answers_does_not_hold_up_the_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "PATIENCE", 0.2)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keep_published("KlingTeam/ShotStream", WAN_1_3B, tmp_path, local=[], endpoint=endpoint, tell=said.append)
    assert "not fetched" in said[0] and "timed out" in said[0]


def test_files_that_are_no_config_are_told_in_a_line(tmp_path: Path) -> None:
    said = told(
        tmp_path, tmp_path / "model", {"a.yaml": "a: [1", "b.yaml": "- 1", "c.yaml": "x: 1", "d.yaml": "&a {x: *a}"}
    )
    assert "a.yaml: not read" in said[0]
    assert said[1].endswith("b.yaml: says nothing that the preset says")
    assert said[2].endswith("c.yaml: says nothing that the preset says")
    assert "d.yaml: not read" in said[3]


def test_a_window_and_another_size_are_seen() -> None:
    _, differences = compare({"local_attn_size": 21, "image_or_video_shape": [1, 21, 16, 32, 64]}, WAN_1_3B)
    assert differences == [
        "local_attn_size 21, here -1",
        "image_or_video_shape [21, 16, 32, 64], here [21, 16, 60, 104]",
    ]
