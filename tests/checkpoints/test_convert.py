"""Weights from every layout into every other: to the bit, or refused with everything that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from wan_rig import TINY_WAN, TRANSFORMER, transformer_weights, wan_config

from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.transformer_weights import load_transformer, read_header
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.preset import SamplerSettings, read_preset, write_preset
from shotstream.families.wan import WAN_1_3B
from shotstream.families.wan_layouts import to_diffusers
from shotstream.models.transformer import Transformer
from shotstream.training.engine.role_state import with_adapters_added

WEIGHTS = transformer_weights()


@pytest.fixture
def preset(tmp_path: Path) -> str:
    """The path of the tiny preset, for ``--preset``."""
    path = tmp_path / "described.json"
    path.write_text(TINY_WAN.model_dump_json())
    return str(path)


def wan_file(folder: Path) -> Path:
    save_file(WEIGHTS, folder / TRANSFORMER)
    (folder / "config.json").write_text(json.dumps(wan_config()))
    return folder


def wan_shards(folder: Path) -> Path:
    """Half of the tensors in each of two files."""
    places = {
        name: f"{TRANSFORMER[:-12]}-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(WEIGHTS)
    }
    for place in set(places.values()):
        save_file({name: tensor for name, tensor in WEIGHTS.items() if places[name] == place}, folder / place)
    (folder / f"{TRANSFORMER}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def reference(folder: Path) -> Path:
    wrapped = {f"model.{name}": tensor for name, tensor in WEIGHTS.items()}
    torch.save({"generator": wrapped, "critic": {}, "step": 4}, folder / "shotstream_merged.pt")
    return folder / "shotstream_merged.pt"


def bare_checkpoint(folder: Path) -> Path:
    torch.save(WEIGHTS, folder / "wan.pth")
    return folder / "wan.pth"


def diffusers_pipeline(folder: Path) -> Path:
    """As diffusers itself saves it."""
    from diffusers import WanTransformer3DModel

    from shotstream.families.wan_layouts import diffusers_config

    module = WanTransformer3DModel.from_config(diffusers_config(TINY_WAN.transformer))
    module.load_state_dict({to_diffusers(name): tensor for name, tensor in WEIGHTS.items()})
    module.save_pretrained(folder / "transformer")
    return folder


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == WEIGHTS.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in WEIGHTS.items()
    )


@pytest.mark.parametrize("make", [wan_file, wan_shards, reference, bare_checkpoint, diffusers_pipeline])
def test_round_trips_keep_every_bit(make: Callable[[Path], Path], tmp_path: Path, preset: str) -> None:
    (tmp_path / "source").mkdir()
    source = make(tmp_path / "source")
    done = convert(source, tmp_path / "ours", named=preset)
    ours = tmp_path / "ours" / "student.safetensors"
    assert (done.output, done.preset, done.bytes) == (str(ours), "tiny-wan", ours.stat().st_size)
    assert same(load_file(ours))
    assert read_header(ours).config == TINY_WAN.transformer
    assert read_preset(tmp_path / "ours" / "preset.json") == TINY_WAN
    convert(tmp_path / "ours", tmp_path / "theirs", to="diffusers")
    convert(tmp_path / "theirs", tmp_path / "back.safetensors", named=preset)
    assert same(load_file(tmp_path / "back.safetensors"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("how", [{}, {"dtype": torch.bfloat16}, {"dtype": "int8"}, {"to": "diffusers"}])
def test_numbers_that_are_none_are_refused_by_name(
    tmp_path: Path, preset: str, value: float, how: dict[str, Any]
) -> None:
    name = "blocks.1.ffn.0.weight"
    damaged = {**WEIGHTS, name: WEIGHTS[name].clone()}
    damaged[name][3, 2] = value
    save_file(damaged, tmp_path / "damaged.safetensors")
    named = to_diffusers(name) if "to" in how else name
    with pytest.raises(WeightsError, match=rf"not written, {re.escape(named)}\S* has NaN or infinite values"):
        convert(tmp_path / "damaged.safetensors", tmp_path / "ours", named=preset, **how)
    assert list((tmp_path / "ours").iterdir()) == []


def test_a_preset_that_is_there_is_not_left_to_say_otherwise(tmp_path: Path, preset: str) -> None:
    source, ours = wan_file(tmp_path), tmp_path / "ours"
    slower = TINY_WAN.model_copy(update={"student": SamplerSettings(guidance=2.0)})
    ours.mkdir()
    write_preset(slower, ours)
    with pytest.raises(InputError, match=r"preset\.json: describes another preset than 'tiny-wan'"):
        convert(source, ours, named=preset)
    assert not (ours / "student.safetensors").exists() and read_preset(ours / "preset.json") == slower
    convert(source, ours, named=preset, force=True)
    assert read_preset(ours / "preset.json") == TINY_WAN


def test_diffusers_itself_loads_what_is_written_for_it(tmp_path: Path, preset: str) -> None:
    from diffusers import WanTransformer3DModel

    convert(wan_file(tmp_path), tmp_path / "theirs", named=preset, to="diffusers")
    theirs, said = WanTransformer3DModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(said[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    state = theirs.state_dict()
    assert all(torch.equal(state[to_diffusers(name)], tensor) for name, tensor in WEIGHTS.items())


def test_a_network_that_predicts_clean_latents_is_not_given_to_diffusers(tmp_path: Path) -> None:
    clean = TINY_WAN.transformer.model_copy(update={"prediction": "x0"})
    described = tmp_path / "clean.json"
    described.write_text(TINY_WAN.model_copy(update={"transformer": clean}).model_dump_json())
    with pytest.raises(WeightsError, match="predicts x0"):
        convert(wan_file(tmp_path), tmp_path / "theirs", named=str(described), to="diffusers")
    assert not (tmp_path / "theirs").exists()


def test_what_is_converted_is_the_model(tmp_path: Path, preset: str) -> None:
    convert(reference(tmp_path), tmp_path / "m", named=preset, dtype=torch.bfloat16, role="teacher")
    stored = load_file(tmp_path / "m" / "teacher.safetensors")
    products = Transformer(TINY_WAN.transformer).matmul_names()
    for name, tensor in WEIGHTS.items():
        wanted = tensor.bfloat16() if name in products else tensor
        assert stored[name].dtype == wanted.dtype and torch.equal(stored[name], wanted)
    model, header = load_transformer(tmp_path / "m" / "teacher.safetensors")
    assert header.role == "teacher"
    with torch.no_grad():
        assert model(torch.randn(1, 1, 16, 2, 2), torch.tensor([500.0]), torch.randn(1, 1, 3, 32)).isfinite().all()


def adapters(rank: int = 3) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A state dict as peft writes it, and the weights as peft merges them."""
    import peft

    model = Transformer(TINY_WAN.transformer)
    model.load_state_dict(WEIGHTS)
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and "blocks." in name]
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=linear))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    state = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(adapted).items()}
    return state, dict(with_adapters_added(adapted.base_model.model).state_dict())


def test_adapters_are_merged_as_peft_merges_them(tmp_path: Path, preset: str) -> None:
    state, expected = adapters()
    torch.save({"generator_lora": state, "critic_lora": {}}, tmp_path / "lora.pt")
    with pytest.raises(WeightsError, match="--base"):
        convert(tmp_path / "lora.pt", tmp_path / "m.safetensors", named=preset)
    done = convert(tmp_path / "lora.pt", tmp_path / "m.safetensors", named=preset, base=reference(tmp_path))
    found = load_file(tmp_path / "m.safetensors")
    assert done.layout == "adapters" and found.keys() == WEIGHTS.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-6)
    assert not torch.equal(found["blocks.1.ffn.2.weight"], WEIGHTS["blocks.1.ffn.2.weight"])
    assert torch.equal(found["head.head.weight"], WEIGHTS["head.head.weight"])


def test_adapters_of_another_model_are_listed(tmp_path: Path, preset: str) -> None:
    state, _ = adapters()
    first = next(name for name in state if "lora_A" in name)
    del state[first]
    state["nonsense"] = torch.zeros(1)
    torch.save({"generator_lora": state}, tmp_path / "lora.pt")
    with pytest.raises(WeightsError) as caught:
        convert(tmp_path / "lora.pt", tmp_path / "m.safetensors", named=preset, base=reference(tmp_path))
    assert "no part of an adapter: nonsense [1]" in str(caught.value) and "has only its lora_B" in str(caught.value)
    pair = {"x.lora_A.weight": torch.zeros(3, 24), "x.lora_B.weight": torch.zeros(24, 3)}
    torch.save({"generator_lora": pair}, tmp_path / "lora.pt")
    with pytest.raises(WeightsError, match=r"extra x\.weight"):
        convert(tmp_path / "lora.pt", tmp_path / "m.safetensors", named=preset, base=reference(tmp_path))


def test_everything_that_is_wrong_is_listed_at_once(tmp_path: Path, preset: str) -> None:
    wrong = {name: tensor for name, tensor in WEIGHTS.items() if name not in ("head.modulation", "blocks.1.norm3.bias")}
    wrong |= {"surplus": torch.zeros(2), "blocks.0.ffn.0.bias": torch.zeros(7)}
    save_file(wrong, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as caught:
        convert(tmp_path / "w.safetensors", tmp_path / "out", named=preset)
    said = str(caught.value)
    for fault in ("missing blocks.1.norm3.bias, head.modulation", "extra surplus"):
        assert fault in said
    assert "blocks.0.ffn.0.bias is [7] instead of [40]" in said and "\n" not in said
    assert not (tmp_path / "out").exists()


def test_heads_come_from_a_preset_or_a_config(tmp_path: Path, preset: str) -> None:
    with pytest.raises(WeightsError, match=r"no known preset .* in_channels 16, dim 24.*--preset"):
        convert(wan_file(tmp_path), tmp_path / "out")
    (tmp_path / "config.json").write_text(json.dumps({**wan_config(), "num_heads": 4}))
    with pytest.raises(
        WeightsError, match=r"config\.json: not the network of preset 'tiny-wan': heads 4 here, 2 there"
    ):
        convert(tmp_path, tmp_path / "out", named=preset)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json: not readable"):
        convert(tmp_path, tmp_path / "out", named=preset)
    with pytest.raises(InputError, match="no preset is called"):
        convert(reference(tmp_path), tmp_path / "out", named="wan-2")
    with pytest.raises(WeightsError, match="cannot be read"):
        convert(reference(tmp_path), tmp_path / "out", named="nowhere.json")


def test_published_sizes_are_recognised_by_their_shapes(tmp_path: Path) -> None:
    """A file with Wan-1.3B's shapes and no numbers at all: sparse on disk."""
    with torch.device("meta"):
        shapes = {name: list(tensor.shape) for name, tensor in Transformer(WAN_1_3B.transformer).state_dict().items()}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with (tmp_path / "wan.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    (tmp_path / "m.safetensors").write_bytes(b"precious")
    with pytest.raises(InputError, match="already exists"):  # all checks passed, and only then is the target looked at
        convert(tmp_path / "wan.safetensors", tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == b"precious"


def test_sources_that_are_none(tmp_path: Path, preset: str) -> None:
    (tmp_path / "empty").mkdir()
    torch.save({"critic": {"model.x": torch.zeros(1)}}, tmp_path / "c.pt")
    for source, said in (
        ("nothing", "no such file or folder"),
        ("empty", "holds no transformer"),
        ("c.pt", "there: critic"),
    ):
        with pytest.raises(WeightsError, match=said):
            convert(tmp_path / source, tmp_path / "out", named=preset)


def test_our_own_files_are_taken_again(tmp_path: Path, preset: str) -> None:
    convert(wan_file(tmp_path), tmp_path / "a", named=preset)
    convert(tmp_path / "a" / "student.safetensors", tmp_path / "b")
    with safe_open(tmp_path / "b" / "student.safetensors", "pt") as file:
        assert json.loads(file.metadata()["shotstream"])["preset"] == "tiny-wan"
    with pytest.raises(InputError, match="already exists"):
        convert(tmp_path / "a", tmp_path / "b")
    convert(tmp_path / "a", tmp_path / "b", force=True)
    (tmp_path / "a" / "preset.json").unlink()
    with pytest.raises(WeightsError, match=r"put its preset\.json beside it, or name --preset"):
        convert(tmp_path / "a", tmp_path / "c")
