"""Weights in several files and an index that names them: safetensors, or what ``torch.save`` wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from wan_rig import TINY_WAN, bring_codecs, transformer_weights

from shotstream.checkpoints.codec_weights import READER
from shotstream.checkpoints.convert import convert
from shotstream.core.errors import WeightsError
from shotstream.families.family import CodecOptions
from shotstream.families.preset import write_preset
from shotstream.families.wan import WanFolder
from shotstream.families.wan_layouts import to_diffusers

WEIGHTS = transformer_weights()
State = dict[str, Tensor]


def in_shards(weights: State, folder: Path, stem: str, suffix: str, count: int = 3) -> Path:
    """``weights`` dealt out to ``count`` files, as Hugging Face's libraries call them; returns the index."""
    folder.mkdir(exist_ok=True)
    parts: list[State] = [{} for _ in range(count)]
    listed = {}
    for number, (name, tensor) in enumerate(weights.items()):
        parts[number % count][name] = tensor.clone()
        listed[name] = f"{stem}-{number % count + 1:05d}-of-{count:05d}{suffix}"
    for number, part in enumerate(parts, start=1):
        path = folder / f"{stem}-{number:05d}-of-{count:05d}{suffix}"
        save_file(part, path) if suffix == ".safetensors" else torch.save(part, path)
    index = folder / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listed}))
    return index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_preset(TINY_WAN, tmp_path)
    return tmp_path


def converted(folder: Path, source: Path) -> State:
    convert(source, folder / "out.safetensors", named=str(folder / "preset.json"), force=True)
    return load_file(folder / "out.safetensors")


@pytest.mark.parametrize("suffix", [".bin", ".safetensors", ".pt"])
@pytest.mark.parametrize("stem", ["pytorch_model", "diffusion_pytorch_model", "model"])
def test_an_index_or_its_folder_is_read(folder: Path, stem: str, suffix: str) -> None:
    index = in_shards(WEIGHTS, folder / "x", stem, suffix)
    for path in list((folder / "x").iterdir()):
        path.with_name(f"._{path.name}").write_bytes(bytes(82))  # what macOS leaves on other disks
    for source in (index, folder / "x"):
        found = converted(folder, source)
        assert found.keys() == WEIGHTS.keys() and all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


def test_behind_prefixes_in_diffusers_names_and_unusual_file_names(folder: Path) -> None:
    inside = {f"module.{to_diffusers(name)}": tensor for name, tensor in WEIGHTS.items()}
    in_shards(inside, folder / "x", "my_model", ".bin")
    found = converted(folder, folder / "x")
    assert found.keys() == WEIGHTS.keys() and all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize("where", ["model.safetensors.index.fp16.json", "model.safetensors.fp16.index.json"])
def test_a_shard_leads_to_its_index_whatever_its_variant(folder: Path, where: str) -> None:
    index = in_shards(WEIGHTS, folder / "x", "model", ".safetensors")
    shard = folder / "x" / "model-00002-of-00003.safetensors"
    index.rename(index.with_name(where))
    for source in (shard, folder / "x"):
        assert converted(folder, source).keys() == WEIGHTS.keys()
    index.with_name(where).unlink()
    for source in (shard, folder / "x"):
        with pytest.raises(
            WeightsError, match=r"one of 3 shards, whose index is missing; fetch model\.safetensors\.index"
        ):
            converted(folder, source)


def test_a_checkpoint_of_many_processes_is_named(folder: Path) -> None:
    (folder / "x").mkdir()
    (folder / "x" / "__0_0.distcp").write_bytes(b"PK")
    with pytest.raises(WeightsError, match="a checkpoint of many processes; make one file of it"):
        converted(folder, folder / "x")


def without_a_file(index: Path) -> None:
    sorted(index.parent.glob("*-00002-*"))[0].unlink()


def without_a_tensor(index: Path) -> None:
    path = sorted(index.parent.glob("*-00002-*"))[0]
    part = torch.load(path, weights_only=True)
    part.pop(next(iter(part)))
    torch.save(part, path)


def with_a_tensor_twice(index: Path) -> None:
    first, second, _ = sorted(index.parent.glob("*-of-*"))
    torch.save(torch.load(first, weights_only=True) | torch.load(second, weights_only=True), second)


def with_a_stranger(index: Path) -> None:
    index.write_text(index.read_text().replace("pytorch_model-00002", "../pytorch_model-00002"))


class Runs:
    """What is run when a pickle is believed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.remove, ("believed",))


def with_code(index: Path) -> None:
    torch.save({"a": Runs()}, sorted(index.parent.glob("*-00002-*"))[0])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_a_file, "1 of its 3 files are not beside it"),
        (without_a_tensor, "none of its files holds"),
        (with_a_tensor_twice, "more than one of its files holds"),
        (with_a_stranger, "outside its folder"),
        (with_code, "could run a stranger's code"),
    ],
)
def test_what_is_not_whole_is_refused(folder: Path, damage: Callable[[Path], None], said: str) -> None:
    index = in_shards(WEIGHTS, folder / "x", "pytorch_model", ".bin")
    damage(index)
    with pytest.raises(WeightsError, match=said) as fault:
        converted(folder, index)
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 600
    assert not (folder / "out.safetensors").exists()


def test_a_text_encoder_in_shards_of_torch_is_what_it_is_in_one_file(wan_release: Path, tmp_path: Path) -> None:
    """In its own layout, and checked before anything is written."""
    bring_codecs(wan_release, tmp_path / "wanted")
    bring_codecs(wan_release, tmp_path / "given")
    text = tmp_path / "given" / "text_encoder"
    whole = load_file(text / "model.safetensors")
    (text / "model.safetensors").unlink()
    in_shards(whole, text, "pytorch_model", ".bin")
    bring_codecs(tmp_path / "given", tmp_path / "m", complete=True)
    options = CodecOptions(device=torch.device("cpu"), dtype=torch.float32, placement="cpu")
    encoders = [WanFolder(tmp_path / place, READER).open_text(options) for place in ("wanted", "m")]
    assert torch.equal(*(one.encode(["a red fox"]) for one in encoders))
    without_a_file(text / "pytorch_model.bin.index.json")
    with pytest.raises(WeightsError, match="1 of its 3 files are not beside it"):
        bring_codecs(tmp_path / "given", tmp_path / "n", complete=True)
    assert not (tmp_path / "n").exists()
