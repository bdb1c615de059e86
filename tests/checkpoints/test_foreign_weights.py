"""Checkpoints as people bring them: behind any wrapper, among others, in eight bits, or not fetched at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from wan_rig import TINY_WAN, transformer_weights

from shotstream.checkpoints.convert import Converted, convert
from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.core.errors import WeightsError
from shotstream.families.preset import write_preset
from shotstream.families.wan_layouts import to_diffusers

WEIGHTS = transformer_weights()
State = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_preset(TINY_WAN, tmp_path)
    return tmp_path


def taken(folder: Path, source: Path, **options: Any) -> Converted:
    return convert(source, folder / "out.safetensors", named=str(folder / "preset.json"), force=True, **options)


def same(folder: Path, wanted: State = WEIGHTS) -> bool:
    found = load_file(folder / "out.safetensors")
    return found.keys() == wanted.keys() and all(torch.equal(found[name].float(), wanted[name]) for name in wanted)


def behind(prefix: str, weights: State = WEIGHTS) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


PREFIXES = [
    *("model.", "module.", "model._fsdp_wrapped_module.", "model._orig_mod.", "model.diffusion_model."),
    *("module.model._orig_mod._fsdp_wrapped_module.", "diffusion_model.", "some.net.of.ours.", "_forward_module."),
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_whatever_wraps_a_network_is_taken_off(folder: Path, prefix: str) -> None:
    torch.save({"generator": behind(prefix), "step": 3}, folder / "x.pt")
    save_file(behind(prefix), folder / "x.safetensors")
    for name in ("x.pt", "x.safetensors"):
        taken(folder, folder / name)
        assert same(folder)


def test_wrappers_between_the_layers_and_diffusers_names(folder: Path) -> None:
    inside = {
        name.replace("blocks.0.", "blocks.0._checkpoint_wrapped_module."): tensor for name, tensor in WEIGHTS.items()
    }
    torch.save({"state_dict": inside}, folder / "x.pt")
    taken(folder, folder / "x.pt")
    assert same(folder)
    save_file({f"transformer.{to_diffusers(name)}": one for name, one in WEIGHTS.items()}, folder / "d.safetensors")
    assert taken(folder, folder / "d.safetensors").layout == "diffusers"
    assert same(folder)


def test_of_several_networks_the_generator_is_taken_and_the_rest_are_named(folder: Path) -> None:
    other = {name: tensor + 1 for name, tensor in WEIGHTS.items()}
    found = {"generator": behind("model."), "generator_ema": behind("model.", other), "critic": behind("model.", other)}
    torch.save(found, folder / "x.pt")
    done = taken(folder, folder / "x.pt")
    assert same(folder) and done.entry == "generator" and done.also == ("generator_ema", "critic")
    assert taken(folder, folder / "x.pt", entry="generator_ema").entry == "generator_ema"
    assert same(folder, other)
    taken(folder, folder / "x.pt", role="critic")
    assert same(folder, other)
    with pytest.raises(WeightsError, match=r"no entry is called 'ema' \(there: generator, generator_ema, critic\)"):
        taken(folder, folder / "x.pt", entry="ema")
    torch.save({"generator_ema": behind("model.")}, folder / "ema.pt")
    taken(folder, folder / "ema.pt")
    assert same(folder)
    save_file({**behind("first."), **behind("second.", other)}, folder / "two.safetensors")
    with pytest.raises(WeightsError, match=r"several networks \(there: first, second\)"):
        taken(folder, folder / "two.safetensors")
    taken(folder, folder / "two.safetensors", entry="second")
    assert same(folder, other)


def test_folders_of_a_training_and_files_of_any_name(folder: Path) -> None:
    for step, weights in ((200, behind("model.", {name: one * 2 for name, one in WEIGHTS.items()})), (1000, WEIGHTS)):
        (folder / f"run/checkpoint_model_{step:06d}").mkdir(parents=True)
        torch.save({"generator": weights}, folder / f"run/checkpoint_model_{step:06d}/model.pt")
    taken(folder, folder / "run")
    assert same(folder)
    taken(folder, folder / "run/checkpoint_model_001000")
    assert same(folder)
    for name in ("diffusion_pytorch_model.fp16.safetensors", "Wan2_1-T2V-1_3B_fp32.safetensors", "model.safetensors"):
        place = folder / name.partition(".")[0]
        place.mkdir(exist_ok=True)
        save_file(WEIGHTS, place / name)
        taken(folder, place)
        assert same(folder)


def test_the_settings_beside_weights_do_no_harm(folder: Path) -> None:
    torch.save({"generator": behind("model."), "config": argparse.Namespace(rank=4, names=["a"])}, folder / "x.pt")
    taken(folder, folder / "x.pt")
    assert same(folder)


MATRIX = "blocks.0.ffn.0.weight"


def in_eight_bits(scale: Callable[[str], State], form: torch.dtype = torch.float8_e4m3fn) -> tuple[State, State]:
    """The weights with their matrices in FP8, and what these stand for."""
    stored, meant = {}, {}
    for name, tensor in WEIGHTS.items():
        stored[name] = meant[name] = tensor
        if tensor.ndim == 2:
            scales = scale(name.removesuffix(".weight"))
            factor = next(iter(scales.values())).reshape(-1, 1) if scales else torch.ones(1)
            stored[name] = (tensor / factor).to(form)
            meant[name] = stored[name].float() * factor
            stored |= scales
    return stored, meant


@pytest.mark.parametrize("form", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize(
    "scale",
    [
        lambda layer: {},
        lambda layer: {f"{layer}.scale_weight": torch.tensor(0.02)},
        lambda layer: {f"{layer}.weight_scale": torch.tensor([0.5]), f"{layer}.input_scale": torch.tensor(3.0)},
        lambda layer: {f"{layer}.weight_scale": torch.arange(1.0, len(WEIGHTS[f"{layer}.weight"]) + 1)[:, None]},
    ],
)
def test_eight_bits_are_read_with_their_scale(folder: Path, scale: Callable[[str], State], form: torch.dtype) -> None:
    stored, meant = in_eight_bits(scale, form)
    stored["scaled_fp8"] = torch.zeros(2).to(form)
    save_file(behind("model.diffusion_model.", stored), folder / "x.safetensors")
    taken(folder, folder / "x.safetensors")
    assert same(folder, meant)
    assert load_transformer(folder / "out.safetensors")[0].blocks[0].ffn[0].weight.dtype == torch.float32


def test_half_precision_stays_what_it_is(folder: Path) -> None:
    halves = {name: tensor.half() for name, tensor in WEIGHTS.items()}
    save_file(halves, folder / "x.safetensors")
    taken(folder, folder / "x.safetensors")
    assert same(folder, {name: tensor.float() for name, tensor in halves.items()})


def test_layouts_of_few_bits_that_are_not_read_are_named(folder: Path) -> None:
    note = torch.tensor(list(json.dumps({"format": "nvfp4"}).encode()), dtype=torch.uint8)
    stored, _ = in_eight_bits(lambda layer: {f"{layer}.weight_scale": torch.tensor(0.5)})
    save_file(stored | {"blocks.0.ffn.0.comfy_quant": note}, folder / "x.safetensors")
    with pytest.raises(WeightsError, match="quantised as nvfp4, which is not supported"):
        taken(folder, folder / "x.safetensors")
    save_file({**WEIGHTS, MATRIX: torch.zeros(40, 12, dtype=torch.uint8)}, folder / "x.safetensors")
    with pytest.raises(WeightsError, match=rf"no ordinary numbers in {MATRIX}"):
        taken(folder, folder / "x.safetensors")
    stored, _ = in_eight_bits(lambda layer: {})
    save_file(stored | {"blocks.0.ffn.0.weight_scale": torch.ones(4)}, folder / "x.safetensors")
    with pytest.raises(WeightsError, match=r"scales of shape \[4\] are not supported"):
        taken(folder, folder / "x.safetensors")
    (folder / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match=r"\.gguf files are not read"):
        taken(folder, folder / "x.gguf")


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt"])
def test_a_git_lfs_pointer_is_recognised(folder: Path, name: str) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5676070528\n"
    (folder / name).write_text(pointer)
    with pytest.raises(WeightsError, match=rf"{name}: a Git LFS pointer.*fetch the real file"):
        taken(folder, folder / name)


def test_shards_that_are_not_there_are_counted(folder: Path) -> None:
    index = folder / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: f"m-{n % 3}.safetensors" for n, name in enumerate(WEIGHTS)}}))
    with pytest.raises(WeightsError, match="3 of its 3 files are not beside it"):
        taken(folder, index)


@pytest.mark.parametrize(
    ("names", "guess"),
    [
        ([f"encoder.block.{n}.layer.0.SelfAttention.q.weight" for n in range(300)], "a text encoder"),
        ([f"decoder.upsamples.{n}.residual.weight" for n in range(300)], "a video autoencoder"),
        ([f"double_blocks.{n}.img_attn.qkv.weight" for n in range(300)], "Flux's or Hunyuan's family"),
        ([f"vace_blocks.{n}.proj.weight" for n in range(9)], "another kind of Wan model"),
    ],
)
def test_errors_are_short_and_guess(folder: Path, names: list[str], guess: str) -> None:
    save_file({name: torch.zeros(1) for name in names}, folder / "x.safetensors")
    with pytest.raises(WeightsError, match=guess) as caught:
        taken(folder, folder / "x.safetensors")
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)
    assert not (folder / "out.safetensors").exists()


def test_a_flipped_byte_is_noticed(folder: Path) -> None:
    save_file(WEIGHTS, folder / "x.safetensors")
    taken(folder, folder / "x.safetensors")
    path = folder / "out.safetensors"
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    for at in (whole.index(b"heads") + 8, 8 + length, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(WeightsError, match=r"damaged|not a readable|header"):
            load_transformer(path)
    path.write_bytes(whole)
    load_transformer(path)
