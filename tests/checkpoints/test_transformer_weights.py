"""Weight files: what goes in comes out, and every fault is one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shotstream.checkpoints.transformer_weights import (
    WeightsHeader,
    build,
    load_transformer,
    read_header,
    save_transformer,
)
from shotstream.core.errors import WeightsError
from shotstream.families.family import known_presets, preset
from shotstream.models.transformer import Transformer


def header_of(model: Transformer) -> WeightsHeader:
    return WeightsHeader(role="student", preset="storyworld", config=model.config, versions={"world": "1"})


def one_line(fault: pytest.ExceptionInfo[WeightsError], path: Path) -> str:
    text = str(fault.value)
    assert "\n" not in text and text.startswith(str(path))
    return text


def test_a_model_comes_back_to_the_bit_and_says_what_it_is(model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    save_transformer(model, path, header_of(model))
    loaded, header = load_transformer(path)
    assert header == header_of(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_narrow_files_keep_norms_and_timesteps_wide(model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    save_transformer(model, path, header_of(model), dtype=torch.bfloat16)
    stored = load_file(path)
    assert stored["blocks.0.ffn.0.weight"].dtype == torch.bfloat16
    assert stored["blocks.0.modulation"].dtype == torch.float32
    assert load_transformer(path)[0].dtype == torch.float32
    narrow, _ = load_transformer(path, dtype=torch.bfloat16)
    assert torch.equal(narrow.head.head.weight, model.head.head.weight.bfloat16())


def test_all_faults_of_a_state_dict_are_listed_at_once(model: Transformer) -> None:
    tensors = dict(model.state_dict())
    del tensors["head.modulation"]
    tensors["blocks.0.modulation"] = torch.zeros(1, 6, 5)
    tensors["lora.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError) as fault:
        build(model.config, tensors, "x.safetensors")
    text = str(fault.value)
    assert "missing head.modulation" in text and "extra lora.weight" in text
    assert f"blocks.0.modulation is [1, 6, 5] instead of [1, 6, {model.config.dim}]" in text


def test_missing_damaged_and_foreign_files(model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="no such file") as fault:
        read_header(path)
    one_line(fault, path)
    save_transformer(model, path, header_of(model))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="not a readable safetensors file") as fault:
        load_transformer(path)
    one_line(fault, path)
    path.write_text("hello")
    with pytest.raises(WeightsError) as fault:
        read_header(path)
    one_line(fault, path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no ShotStream header") as fault:
        read_header(path)
    one_line(fault, path)
    save_file({"x": torch.zeros(1)}, path, metadata={"shotstream": '{"kind": "soup"}'})
    with pytest.raises(WeightsError, match="kind") as fault:
        read_header(path)
    one_line(fault, path)


def test_presets_agree_with_themselves_and_with_the_paper() -> None:
    wan = preset("wan-1.3b")
    assert wan.geometry.tokens_per_frame == 1560
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Transformer(wan.transformer).parameters())
    assert round(parameters / 1e9, 1) == 1.4  # "1.3B" without the embeddings
    assert all(name == one.name for name, one in known_presets().items())
