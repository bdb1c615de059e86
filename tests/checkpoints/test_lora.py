"""A LoRA is what the program that wrote it makes of it: every way of naming and scaling, against peft's own merge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from wan_rig import TINY_WAN, transformer_weights

from shotstream.checkpoints.convert import convert, convert_adapters
from shotstream.checkpoints.transformer_weights import WeightsHeader, load_transformer, save_transformer
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.preset import write_preset
from shotstream.families.wan_layouts import to_diffusers
from shotstream.models.transformer import Transformer
from shotstream.training.engine.role_state import with_adapters_added as merged_by_peft

WEIGHTS = transformer_weights()
LAYERS = [name.removesuffix(".weight") for name, one in WEIGHTS.items() if "blocks." in name and one.ndim == 2]
State = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The base, in Wan's layout and in ours, and its preset."""
    write_preset(TINY_WAN, tmp_path)
    save_file(WEIGHTS, tmp_path / "base.safetensors")
    model = Transformer(TINY_WAN.transformer)
    model.load_state_dict(WEIGHTS)
    header = WeightsHeader(role="teacher", preset=TINY_WAN.name, config=TINY_WAN.transformer)
    save_transformer(model, tmp_path / "teacher.safetensors", header)
    return tmp_path


def adapters(**settings: Any) -> tuple[State, State, dict[str, Any]]:
    """A LoRA with ``settings``: its tensors as peft saves them, the weights as peft merges them, and its config."""
    torch.manual_seed(1)
    model = Transformer(TINY_WAN.transformer)
    model.load_state_dict(WEIGHTS)
    config = peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": LAYERS, **settings})
    adapted = peft.get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    state = {name: one.clone() for name, one in peft.get_peft_model_state_dict(adapted).items()}
    told = {key: sorted(one) if isinstance(one, set) else one for key, one in config.to_dict().items()}
    merged = merged_by_peft(adapted.base_model.model).state_dict()
    return state, {name: one.clone() for name, one in merged.items()}, told


def converted(folder: Path, lora: Path, **options: Any) -> State:
    out = folder / "out.safetensors"
    convert(lora, out, named=str(folder / "preset.json"), base=folder / "base.safetensors", force=True, **options)
    return load_file(out)


def applied(folder: Path, lora: Path, **options: Any) -> State:
    """The same kept apart, and added when it is loaded."""
    out = folder / "student.safetensors"
    convert_adapters(lora, out, base=folder / "teacher.safetensors", form=None, force=True, **options)
    return dict(load_transformer(out)[0].state_dict())


def same(found: State, wanted: State) -> bool:
    return all(torch.allclose(found[name], wanted[name], atol=1e-5, rtol=1e-5) for name in WEIGHTS)


SETTINGS = [
    {},
    {"use_rslora": True},
    {"alpha_pattern": {"self_attn.q": 2, "ffn.0": 32}},
    {"rank_pattern": {"cross_attn.v": 2}, "use_rslora": True},
    {"rank_pattern": {r"blocks\.1\..*": 3}, "alpha_pattern": {"blocks.1.ffn.2": 1, "ffn.2": 16}},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    "names", [("adapter_model.safetensors", "adapter_config.json"), ("my_style.safetensors", "my_style_config.json")]
)
def test_the_scale_is_the_one_peft_uses(folder: Path, settings: dict[str, Any], names: tuple[str, str]) -> None:
    state, wanted, config = adapters(**settings)
    place = folder / "lora"
    place.mkdir()
    save_file(state, place / names[0])
    (place / names[1]).write_text(json.dumps(config))
    assert not same(wanted, WEIGHTS)
    assert same(converted(folder, place / names[0]), wanted)
    assert same(applied(folder, place / names[0]), wanted)
    assert same(converted(folder, place), wanted)


def peft_bin(state: State, place: Path, config: dict[str, Any]) -> Path:
    torch.save(state, place / "adapter_model.bin")
    (place / "adapter_config.json").write_text(json.dumps(config))
    return place / "adapter_model.bin"


def plain_layers(state: State) -> dict[str, tuple[Tensor, Tensor]]:
    pairs = {}
    for layer in LAYERS:
        inner = f"base_model.model.{layer}"
        pairs[layer] = state[f"{inner}.lora_A.weight"], state[f"{inner}.lora_B.weight"]
    return pairs


def written(state: State, place: Path, name: Callable[[str], str], sides: tuple[str, str], alpha: float | None) -> Path:
    tensors: State = {}
    for layer, (a, b) in plain_layers(state).items():
        tensors |= {f"{name(layer)}.{sides[0]}.weight": a, f"{name(layer)}.{sides[1]}.weight": b}
        if alpha is not None:
            tensors[f"{name(layer)}.alpha"] = torch.tensor(alpha)
    save_file(tensors, place / "style.safetensors")
    return place / "style.safetensors"


def diffusers_layer(layer: str) -> str:
    return to_diffusers(f"{layer}.weight").removesuffix(".weight")


NAMES: dict[str, tuple[Callable[[str], str], tuple[str, str]]] = {
    "comfy": (lambda layer: f"diffusion_model.{layer}", ("lora_A", "lora_B")),
    "lightx2v": (lambda layer: f"diffusion_model.{layer}", ("lora_down", "lora_up")),
    "kohya": (lambda layer: f"lora_unet_{layer.replace('.', '_')}", ("lora_down", "lora_up")),
    "kohya, diffusers' names": (
        lambda layer: f"lora_transformer_{diffusers_layer(layer).replace('.', '_')}",
        ("lora_down", "lora_up"),
    ),
    "kohya, two strokes": (lambda layer: f"lora_unet__{layer.replace('.', '_')}", ("lora_down", "lora_up")),
    "lycoris": (lambda layer: f"lycoris_{layer.replace('.', '_')}", ("lora_down", "lora_up")),
    "diffusers": (lambda layer: f"transformer.{diffusers_layer(layer)}", ("lora_A", "lora_B")),
    "diffusers of old": (lambda layer: f"transformer.{diffusers_layer(layer)}", ("lora.down", "lora.up")),
    "adapter's name": (lambda layer: f"model.{layer}", ("lora_A.my_style", "lora_B.my_style")),
    "wrapped": (lambda layer: f"module._fsdp_wrapped_module.model._orig_mod.{layer}", ("lora_A", "lora_B")),
    "wrapped inside": (
        lambda layer: layer.replace(".", "._checkpoint_wrapped_module.", 2),
        ("lora_A.default", "lora_B.default"),
    ),
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_every_way_of_naming(folder: Path, names: str, alpha: float | None) -> None:
    state, wanted, _ = adapters(lora_alpha=4 if alpha is None else alpha)
    path = written(state, folder, *NAMES[names], alpha)
    assert same(converted(folder, path), wanted)
    assert same(applied(folder, path), wanted)


def test_the_references_checkpoints_hold_adapters_whose_alpha_is_the_rank(folder: Path) -> None:
    state, wanted, _ = adapters(lora_alpha=4)
    wrapped = {name.replace("base_model.model.", "base_model.model.model."): one for name, one in state.items()}
    torch.save({"generator_lora": wrapped, "critic_lora": {}, "step": 7}, folder / "lora.pt")
    assert same(converted(folder, folder / "lora.pt"), wanted)
    assert same(applied(folder, folder / "lora.pt"), wanted)
    torch.save({"lora": state}, folder / "other.pt")  # another program's, whose rule nobody knows
    with pytest.raises(WeightsError, match="--alpha"):
        converted(folder, folder / "other.pt")


def test_bare_pickles_of_peft(folder: Path) -> None:
    state, wanted, config = adapters(use_rslora=True)
    place = folder / "lora"
    place.mkdir()
    assert same(converted(folder, peft_bin(state, place, config)), wanted)
    assert same(applied(folder, place), wanted)


def test_the_config_in_diffusers_header(folder: Path) -> None:
    state, wanted, _ = adapters(use_rslora=True)
    path = written(state, folder, *NAMES["diffusers"], None)
    told = {"transformer.r": 4, "transformer.lora_alpha": 8, "transformer.use_rslora": True}
    save_file(load_file(path), path, metadata={"format": "pt", "lora_adapter_metadata": json.dumps(told)})
    assert same(converted(folder, path), wanted)


def test_whole_differences_beside_adapters(folder: Path) -> None:
    """lightx2v keeps those of biases and norms so."""
    state, wanted, _ = adapters(lora_alpha=4)
    path = written(state, folder, *NAMES["lightx2v"], None)
    bias, norm = torch.randn(24), torch.randn(24)
    lit, end = torch.randn_like(WEIGHTS["blocks.0.modulation"]), torch.randn_like(WEIGHTS["head.modulation"])
    more = {"diffusion_model.blocks.0.self_attn.q.diff_b": bias, "diffusion_model.blocks.1.norm3.diff": norm}
    more |= {"diffusion_model.blocks.0.diff_m": lit, "diffusion_model.head.diff_m": end}
    save_file(load_file(path) | more, path)
    wanted["blocks.0.self_attn.q.bias"] += bias
    wanted["blocks.1.norm3.weight"] += norm
    wanted["blocks.0.modulation"] += lit
    wanted["head.modulation"] += end
    assert same(converted(folder, path), wanted)
    with pytest.raises(InputError, match="changes biases or norms"):
        applied(folder, path)


def test_a_scale_that_nobody_says_is_asked_for(folder: Path) -> None:
    state, wanted, config = adapters()
    save_file(state, folder / "style.safetensors")
    with pytest.raises(WeightsError, match=r"no adapter_config\.json beside it says the scale.*--alpha"):
        converted(folder, folder / "style.safetensors")
    assert same(converted(folder, folder / "style.safetensors", alpha=8), wanted)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="says alpha; leave out --alpha"):
        converted(folder, folder / "style.safetensors", alpha=8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "use_dora: True"),
        ({"bias": "all"}, "bias: all"),
        ({"init_lora_weights": "pissa_niter_16"}, "init_lora_weights: pissa"),
        ({"modules_to_save": ["head"]}, "modules_to_save"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"peft_type": "LOHA"}, "peft_type LOHA"),
        ({"peft_type": "LOHA", "lora_alpha": None}, "peft_type LOHA"),
        ({"r": 8}, "says rank 8 for .* whose adapter has 4"),
        ({"r": None}, "not readable as peft's"),
        ({"alpha_pattern": {"(": 1}}, "a pattern of peft's config cannot be read"),
    ],
)
def test_settings_that_make_another_sum_are_named(folder: Path, changes: dict[str, Any], said: str) -> None:
    state, _, config = adapters()
    place = folder / "lora"
    place.mkdir()
    save_file(state, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps(config | changes))
    for attempt in (converted, applied):
        with pytest.raises(WeightsError, match=said) as caught:
            attempt(folder, place)
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert not (folder / "out.safetensors").exists() and not (folder / "student.safetensors").exists()


@pytest.mark.parametrize(("told", "said"), [("[]", "it holds a list"), ("{", "not readable as peft's")])
def test_a_config_that_is_none_is_said(folder: Path, told: str, said: str) -> None:
    state, _, _ = adapters()
    save_file(state, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(told)
    with pytest.raises(WeightsError, match=said):
        converted(folder, folder / "adapter_model.safetensors")


def test_adapters_without_a_rank_are_refused(folder: Path) -> None:
    layer = "diffusion_model.blocks.0.self_attn.q"
    hollow = {f"{layer}.lora_A.weight": torch.ones(0, 24), f"{layer}.lora_B.weight": torch.ones(24, 0)}
    save_file(hollow, folder / "hollow.safetensors")
    for attempt in (converted, applied):
        with pytest.raises(WeightsError, match="of rank 0"):
            attempt(folder, folder / "hollow.safetensors")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blocks.0.self_attn.q.dora_scale", "DoRA"),
        ("blocks.0.self_attn.q.lora_magnitude_vector", "DoRA"),
        ("blocks.0.self_attn.q.hada_w1_a", "LoHa"),
        ("blocks.0.self_attn.q.lokr_w1", "LoKr"),
        ("lora_te_text_model_encoder_layers_0.lora_up.weight", "text encoder"),
        ("blocks.0.self_attn.q.lora_B.bias", "lora_bias"),
        ("blocks.0.self_attn.q.surplus", "no part of an adapter"),
        ("blocks.7.self_attn.q.alpha", "alpha without an adapter"),
    ],
)
def test_what_is_no_plain_lora_is_named(folder: Path, name: str, said: str) -> None:
    state, _, _ = adapters(lora_alpha=4)
    path = written(state, folder, *NAMES["comfy"], None)
    save_file(load_file(path) | {f"diffusion_model.{name}" if "_te_" not in name else name: torch.ones(4, 24)}, path)
    with pytest.raises(WeightsError, match=said) as caught:
        converted(folder, path)
    assert len(str(caught.value)) < 400


def test_a_header_that_says_another_scale_is_asked_about(folder: Path) -> None:
    """Programs that convert LoRAs keep kohya's header, and some have multiplied by its alpha, others have not."""
    state, wanted, _ = adapters(lora_alpha=4)
    path = written(state, folder, *NAMES["comfy"], None)
    tensors = load_file(path)
    save_file(tensors, path, metadata={"ss_network_alpha": "2", "ss_network_dim": "4"})
    with pytest.raises(WeightsError, match=r"says ss_network_alpha 2, the rank is 4.*--alpha N \(4 if"):
        converted(folder, path)
    assert same(converted(folder, path, alpha=4), wanted)
    save_file(tensors, path, metadata={"ss_network_alpha": "4.0"})
    assert same(converted(folder, path), wanted)


def test_where_some_say_their_alpha_the_others_are_asked_about(folder: Path) -> None:
    state, wanted, _ = adapters(alpha_pattern={"blocks.0.self_attn.q": 2})
    path = written(state, folder, *NAMES["comfy"], None)
    save_file(load_file(path) | {"diffusion_model.blocks.0.self_attn.q.alpha": torch.tensor(2.0)}, path)
    with pytest.raises(WeightsError, match="has no alpha and others have; say it with --alpha"):
        converted(folder, path)
    assert same(converted(folder, path, alpha=8), wanted)


@pytest.mark.parametrize("alpha", [[], [1.0, 2.0], float("nan")])
def test_an_alpha_that_is_no_number_is_refused(folder: Path, alpha: Any) -> None:
    state, _, _ = adapters()
    path = written(state, folder, *NAMES["kohya"], alpha)
    with pytest.raises(WeightsError, match="not one number"):
        converted(folder, path)


def test_adapters_of_another_model_are_counted(folder: Path) -> None:
    tensors = {}
    for index in range(40):
        layer = f"diffusion_model.double_blocks.{index}.img_attn.qkv"
        tensors |= {f"{layer}.lora_A.weight": torch.zeros(4, 24), f"{layer}.lora_B.weight": torch.zeros(24, 4)}
    save_file(tensors, folder / "flux.safetensors")
    with pytest.raises(WeightsError, match=r"and 37 more; looks like a transformer of Flux's") as caught:
        converted(folder, folder / "flux.safetensors")
    assert len(str(caught.value)) < 500


def test_a_layer_is_not_adapted_twice(folder: Path) -> None:
    state, _, _ = adapters(lora_alpha=4)
    path = written(state, folder, *NAMES["comfy"], None)
    tensors = load_file(path)
    again = {name.replace("diffusion_model.", "model."): one.clone() for name, one in tensors.items()}
    save_file(tensors | again, path)
    with pytest.raises(WeightsError, match="twice, under two names"):
        converted(folder, path)
