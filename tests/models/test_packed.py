"""Weights in a byte each: how far they are from what they were, and that nothing is taken for what it is not."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shotstream.core.errors import InputError, WeightsError
from shotstream.core.packed import SCALE, matrix_names, pack, unpack, unpacked
from shotstream.core.packed import stored as stored_form
from shotstream.models.presets import preset, write_preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import WeightsHeader, load_transformer, save_transformer
from shotstream.tools.convert import convert
from shotstream.tools.weight_files import describe_file


@pytest.fixture(autouse=True)
def every_matrix_is_worth_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' networks are small."""
    monkeypatch.setattr("shotstream.core.packed.WORTH", 1)


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
    convert(stored, tmp_path / "packed.safetensors", named=None, dtype=torch.int8)
    packed, header = load_transformer(tmp_path / "packed.safetensors")
    assert header.config == model.config
    for name, weight in model.state_dict().items():
        matrix = name.endswith(".weight") and weight.ndim > 1
        assert torch.equal(packed.state_dict()[name], unpack(*pack(weight)) if matrix else weight)
    sizes = [(tmp_path / name).stat().st_size for name in ("packed.safetensors", "whole.safetensors")]
    assert sizes[0] < sizes[1] / 2


def test_a_packed_file_can_be_converted_on(stored: Path, model: Transformer, tmp_path: Path) -> None:
    convert(stored, tmp_path / "packed.safetensors", dtype=torch.int8)
    convert(tmp_path / "packed.safetensors", tmp_path / "again.safetensors")
    again, packed = (load_transformer(tmp_path / name)[0] for name in ("again.safetensors", "packed.safetensors"))
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in packed.state_dict().items())


def test_bytes_without_scales_are_refused(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed.safetensors"
    convert(stored, path, dtype=torch.int8)
    tensors = load_file(path)
    lost = next(name for name in tensors if name.endswith(SCALE))
    del tensors[lost]
    with pytest.raises(WeightsError, match=f"without their scales: {lost}"):
        unpacked(tensors, "x")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata=metadata)
    for attempt in (lambda: load_transformer(path), lambda: convert(path, tmp_path / "other.safetensors")):
        with pytest.raises(WeightsError, match="without their scales"):
            attempt()


def test_diffusers_is_not_given_bytes(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="int8"):
        convert(stored, tmp_path / "theirs", to="diffusers", dtype=torch.int8)
    assert not (tmp_path / "theirs").exists()


def test_fewer_levels_are_coarser_and_compress_further(stored: Path, model: Transformer, tmp_path: Path) -> None:
    sizes = {}
    for levels in (127, 31):
        path = tmp_path / f"{levels}.safetensors"
        convert(stored, path, dtype=torch.int8, levels=levels)
        whole = [tensor for tensor in load_file(path).values() if tensor.dtype is torch.int8]
        assert max(int(tensor.abs().max()) for tensor in whole) == levels
        sizes[levels] = sum(len(zlib.compress(tensor.numpy().tobytes())) for tensor in whole)
    assert sizes[31] < 0.85 * sizes[127]
    coarse, _ = load_transformer(tmp_path / "31.safetensors")
    name = next(name for name in model.product_names() if model.state_dict()[name].ndim > 1)
    assert torch.equal(coarse.state_dict()[name], unpack(*pack(model.state_dict()[name], 31)))


def test_in_seven_levels_two_rows_share_a_byte(stored: Path, model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "7.safetensors"
    convert(stored, path, dtype=torch.int8, levels=7)
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


@pytest.mark.parametrize("levels", [1, 3, 7])
def test_every_whole_number_survives_sharing(levels: int) -> None:
    numbers = torch.arange(-levels, levels + 1).float()
    weight = torch.cartesian_prod(numbers, numbers).T.contiguous()  # every pair in one byte
    whole, scale = stored_form(weight, levels)
    assert whole.dtype is torch.uint8 and whole.shape == (1, len(numbers) ** 2)
    assert torch.equal(unpack(whole, scale), weight)


@pytest.mark.parametrize(("dtype", "levels"), [(torch.int8, 0), (torch.int8, 128), (torch.bfloat16, 31)])
def test_levels_are_whole_numbers_of_a_byte(stored: Path, tmp_path: Path, dtype: torch.dtype, levels: int) -> None:
    with pytest.raises(InputError, match="--dtype int8"):
        convert(stored, tmp_path / "x.safetensors", dtype=dtype, levels=levels)
    assert not (tmp_path / "x.safetensors").exists()


def test_small_matrices_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Conv2d(4, 5, 3), torch.nn.BatchNorm2d(5))
    monkeypatch.setattr("shotstream.core.packed.WORTH", 13)
    assert matrix_names(network) == {"1.weight"}
