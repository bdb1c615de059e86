"""Replaying the recordings: every section of every file, and every way a file can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from shotstream.core.errors import InputError
from shotstream.families.wan import WAN_1_3B
from shotstream.tools.verify import relative_error, verify

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("parity_*.safetensors"))
SMALL = GOLDEN[2]
PROMPTS = SMALL.with_name("prompts.safetensors")


def rewritten(
    folder: Path, changes: dict[str, torch.Tensor | None], config: str | None = None, of: Path = SMALL
) -> Path:
    """A copy of a recording with tensors changed (None: left out)."""
    with safe_open(of, "pt") as file:
        metadata = {"config": file.metadata()["config"] if config is None else config}
    tensors = {name: tensor for name, tensor in {**load_file(of), **changes}.items() if tensor is not None}
    path = folder / "recording.safetensors"
    save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_recorded_section_is_reproduced(path: Path) -> None:
    report = verify([path])
    sections = report["files"][str(path)]
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if not name.startswith("weights/")]  # noqa: SIM118
    outputs = ("flow", "context_flow", "context_k_layer0", "context_v_last", "x0", "denoising_timesteps")
    assert set(sections) == {name for name in names if name.split("/")[-1] in outputs}
    assert report["ok"] and report["tolerance"] == 1e-5
    assert report["max_relative_error"] == max(sections.values()) < 1e-6


def test_prompts_are_the_references_letter_for_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded from the reference's own data set: shots from 0, any letters, braces and lines left as they are."""
    report = verify([PROMPTS])
    (sections,) = report["files"].values()
    assert len(sections) == 3 + 2 + 12 and report["ok"] and report["max_relative_error"] == 0
    assert {"story0/shot0/prompt", "story2/shot11/prompt"} <= set(sections)
    counted_from_one = WAN_1_3B.model_copy(update={"prompt_form": "{global_caption}shot{shot}: {caption}"})
    monkeypatch.setattr("shotstream.tools.verify.preset", lambda name: counted_from_one)
    assert not verify([PROMPTS])["ok"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"story0/shot1/caption": None}, "holds no tensor 'story0/shot1/caption'"),
        ({"story3/global_caption": torch.tensor([65], dtype=torch.uint8)}, "which nothing here replays"),
        ({"story0/shot1/prompt": torch.tensor([255], dtype=torch.uint8)}, "do not fit together"),
        ({"story0/one/prompt": torch.tensor([65], dtype=torch.uint8)}, "story0/one/caption"),
    ],
)
def test_recorded_prompts_that_are_damaged_are_explained(
    changes: dict[str, torch.Tensor | None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        verify([rewritten(tmp_path, changes, of=PROMPTS)])


def test_bfloat16_stays_within_its_own_tolerance() -> None:
    report = verify([SMALL], dtype="bfloat16")
    assert report["ok"] and report["tolerance"] == 2e-2
    assert report["max_relative_error"] > 1e-4


@pytest.mark.parametrize(
    "name",
    [
        "plain/flow",
        "bidirectional/captions",
        "block_causal/timesteps",
        "rollout/shot7/x0",
        "rollout/shot3/renoise",
        "rollout/shot6/context_latents",
        "weights/model.blocks.1.cross_attn.norm_k.weight",
        "denoising_timesteps",
    ],
)
def test_one_changed_number_is_noticed(name: str, tmp_path: Path) -> None:
    tensor = load_file(SMALL)[name].clone()
    tensor.view(-1)[-1] += 0.5
    assert not verify([rewritten(tmp_path, {name: tensor})])["ok"]


def test_the_tolerance_is_the_callers() -> None:
    assert not verify([SMALL], tolerance=1e-9)["ok"]


def test_a_number_that_is_none_is_not_ok(tmp_path: Path) -> None:
    flow = load_file(SMALL)["plain/flow"].clone()
    flow[0, 0, 0, 0, 0] = float("nan")
    report = verify([rewritten(tmp_path, {"plain/flow": flow})])
    assert not report["ok"] and report["max_relative_error"] == float("inf")
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0


@pytest.mark.parametrize(
    ("changes", "config", "said"),
    [
        ({"plain/flow": None}, None, "holds no tensor 'plain/flow'"),
        ({"rollout/shot9/x0": torch.zeros(1)}, None, "rollout/shot9/x0, which nothing here replays"),
        ({"weights/model.head.modulation": None}, None, "missing head.modulation"),
        ({"rollout/shot1/shot_index": torch.zeros(15).int()}, None, "rollout/shot1/shot_index"),
        ({"plain/latents": torch.zeros(1, 9, 5, 4, 6)}, None, "do not fit together"),
        ({}, '{"c": 4}', "config"),
        ({}, "{", "config"),
        ({}, '{"c": 4, "dim": 47}', "config"),
    ],
)
def test_files_that_are_no_recording_are_explained(
    changes: dict[str, torch.Tensor | None], config: str | None, said: str, tmp_path: Path
) -> None:
    path = rewritten(tmp_path, changes, config)
    with pytest.raises(InputError) as fault:
        verify([path])
    assert said in str(fault.value) and str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_missing_and_damaged_files_and_unknown_types_are_explained(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(SMALL.read_bytes()[:5000])
    for path in (damaged, tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(InputError, match=path.name):
            verify([path])
    with pytest.raises(InputError, match="float32"):
        verify([SMALL], dtype="int8")
    with pytest.raises(InputError, match="name at least one"):
        verify([])
