"""Weights in a byte each: how far they are from what they were, and that nothing is taken for what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.model_files import describe_file
from shotstream.checkpoints.quantisation import SCALE, matrix_names, pack, rounded, unpack, unpacked
from shotstream.checkpoints.quantisation import stored as stored_form
from shotstream.checkpoints.safetensors_file import held
from shotstream.checkpoints.transformer_weights import WeightsHeader, load_transformer, read_header, save_transformer
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.family import preset
from shotstream.families.preset import write_preset
from shotstream.models.transformer import Transformer


@pytest.fixture(autouse=True)
def every_matrix_is_worth_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' networks are small."""
    monkeypatch.setattr("shotstream.checkpoints.quantisation.WORTH", 1)


@pytest.fixture
def stored(model: Transformer, tmp_path: Path) -> Path:
    header = WeightsHeader(role="student", preset="storyworld", config=model.config)
    whole, size = preset("storyworld"), {"latent_channels": model.config.in_channels, "patch": model.config.patch}
    geometry = whole.geometry.model_copy(update=size)
    write_preset(whole.model_copy(update={"transformer": model.config, "geometry": geometry}), tmp_path)
    save_transformer(model, tmp_path / "whole.safetensors", header)
    return tmp_path / "whole.safetensors"


def test_a_weight_moves_by_half_a_step_at_most() -> None:
    weight = (
        torch.randn(7, 3, 2, 2, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-3, 2, 7)[:, None, None, None]
    )
    whole, scale = pack(weight)
    assert whole.dtype is torch.int8 and whole.shape == weight.shape and scale.shape == (7,)
    steps = (unpack(whole, scale) - weight).abs() / scale[:, None, None, None]
    assert steps.max() <= 0.5 + 1e-4


def test_a_row_of_zeros_stays_one() -> None:
    assert not unpack(*pack(torch.zeros(2, 3))).any()


def test_what_is_packed_twice_is_packed_once() -> None:
    once = unpack(*pack(torch.randn(5, 9, generator=torch.Generator().manual_seed(1))))
    assert torch.equal(pack(once)[0], pack(unpack(*pack(once)))[0])


def test_a_packed_file_loads_as_the_rounded_model(stored: Path, model: Transformer, tmp_path: Path) -> None:
    convert(stored, tmp_path / "packed.safetensors", named=None, dtype="int8")
    packed, header = load_transformer(tmp_path / "packed.safetensors")
    assert header.config == model.config
    for name, weight in model.state_dict().items():
        matrix = name.endswith(".weight") and weight.ndim > 1
        assert torch.equal(packed.state_dict()[name], unpack(*pack(weight)) if matrix else weight)
    sizes = [(tmp_path / name).stat().st_size for name in ("packed.safetensors", "whole.safetensors")]
    assert sizes[0] < sizes[1] / 2


def test_a_packed_file_can_be_converted_on(stored: Path, model: Transformer, tmp_path: Path) -> None:
    convert(stored, tmp_path / "packed.safetensors", dtype="int8")
    convert(tmp_path / "packed.safetensors", tmp_path / "again.safetensors")
    again, packed = (load_transformer(tmp_path / name)[0] for name in ("again.safetensors", "packed.safetensors"))
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in packed.state_dict().items())


def test_bytes_without_scales_are_refused(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed.safetensors"
    convert(stored, path, dtype="int8")
    tensors = load_file(path)
    lost = next(name for name in tensors if name.endswith(SCALE))
    del tensors[lost]
    with pytest.raises(WeightsError, match=f"without their scales: {lost}"):
        unpacked({name: held(tensor) for name, tensor in tensors.items()}, "x")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = {"shotstream": file.metadata()["shotstream"]}
    save_file(tensors, path, metadata=metadata)
    for attempt in (lambda: load_transformer(path), lambda: convert(path, tmp_path / "other.safetensors")):
        with pytest.raises(WeightsError, match="without their scales"):
            attempt()


def test_diffusers_is_not_given_bytes(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="int8"):
        convert(stored, tmp_path / "theirs", to="diffusers", dtype="int8")
    assert not (tmp_path / "theirs").exists()


def test_in_int4_two_rows_share_a_byte(stored: Path, model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "int4.safetensors"
    convert(stored, path, dtype="int4")
    kept, plain = load_file(path), model.state_dict()
    shared = {name for name, tensor in kept.items() if tensor.dtype is torch.uint8}
    assert shared and all(kept[name].shape == (plain[name].shape[0] // 2, *plain[name].shape[1:]) for name in shared)
    assert all(tensor.dtype is torch.float16 for name, tensor in kept.items() if name not in shared)
    loaded, _ = load_transformer(path)
    for name, weight in plain.items():
        if name.endswith(".weight") and weight.ndim > 1:
            whole, scale = pack(weight, 7)
            assert torch.equal(loaded.state_dict()[name], unpack(whole, scale.half()))
        else:
            assert torch.equal(loaded.state_dict()[name], weight.half().float())
    convert(path, tmp_path / "again.safetensors")
    again, _ = load_transformer(tmp_path / "again.safetensors")
    assert all(torch.equal(again.state_dict()[name], value) for name, value in loaded.state_dict().items())
    assert describe_file(path).parameters == sum(value.numel() for value in plain.values())


def test_every_whole_number_survives_sharing() -> None:
    numbers = torch.arange(-7, 8).float()
    weight = torch.cartesian_prod(numbers, numbers).T.contiguous()  # every pair in one byte
    whole, scale = stored_form(weight, "int4")
    assert whole.dtype is torch.uint8 and whole.shape == (1, len(numbers) ** 2)
    assert torch.equal(unpack(whole, scale), weight)


@pytest.mark.parametrize("levels", [1, 15, 31])
def test_files_of_ranges_without_a_name_are_read(stored: Path, model: Transformer, levels: int) -> None:
    """As they were written before the forms had names; 15 and 31 a byte each, fewer than 8 two rows in one."""
    header, tensors = read_header(stored), {}
    for name, weight in model.state_dict().items():
        tensors[name] = weight
        if name.endswith(".weight") and weight.ndim > 1:
            whole, tensors[name + SCALE] = pack(weight, levels)
            shared = levels <= 7 and len(weight) % 2 == 0
            tensors[name] = ((whole[0::2] + 8) | ((whole[1::2] + 8) << 4)).to(torch.uint8) if shared else whole
    save_file(tensors, stored, metadata={"shotstream": header.model_dump_json()})
    loaded = load_transformer(stored)[0].state_dict()
    for name, weight in model.state_dict().items():
        matrix = name.endswith(".weight") and weight.ndim > 1
        torch.testing.assert_close(loaded[name], rounded(weight, levels) if matrix else weight)


def test_small_matrices_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Conv2d(4, 5, 3), torch.nn.BatchNorm2d(5))
    monkeypatch.setattr("shotstream.checkpoints.quantisation.WORTH", 13)
    assert matrix_names(network) == {"1.weight"}
