"""Tensors read where they lie, and files that are not what they seem."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from shotstream.checkpoints.safetensors_file import LazyTensor, computed, read_safetensors, write_safetensors
from shotstream.checkpoints.tensor_files import read_checkpoint, read_tensors
from shotstream.core.errors import WeightsError


def some() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "wide": torch.randn(3, 5, dtype=torch.float64),
        "plain": torch.randn(7, 4),
        "narrow": torch.randn(3, 3).bfloat16(),
        "half": torch.randn(5).half(),
        "count": torch.tensor(7),
        "flag": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
    }


def equal(stored: LazyTensor, tensor: Tensor) -> bool:
    read = stored.read()
    same = read.dtype == tensor.dtype and read.shape == tensor.shape and torch.equal(read, tensor)
    flat = tensor.contiguous().reshape(-1).view(torch.uint8)
    return same and b"".join(stored.chunks()) == bytes(flat.numpy()) and stored.nbytes == len(flat)


def test_what_the_library_writes_is_read_and_what_we_write_the_library_reads(tmp_path: Path) -> None:
    tensors = some()
    save_file(tensors, tmp_path / "a.safetensors")
    stored = read_safetensors(tmp_path / "a.safetensors")
    assert stored.keys() == tensors.keys() and all(equal(stored[name], tensors[name]) for name in tensors)
    doubled = {"twice": computed(lambda: 2 * stored["plain"].read(), torch.bfloat16, (7, 4))}
    outgoing = stored | doubled
    write_safetensors(tmp_path / "b.safetensors", outgoing, {"who": "we"})
    back = load_file(tmp_path / "b.safetensors")
    assert torch.equal(back.pop("twice"), (2 * tensors["plain"]).bfloat16())
    assert back.keys() == tensors.keys() and all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert all(back[name].dtype == tensors[name].dtype for name in tensors)


def test_shards_are_one_set_of_tensors_and_may_not_lead_elsewhere(tmp_path: Path) -> None:
    tensors = some()
    for shard, names in (("one", ["wide", "plain"]), ("two", ["narrow"])):
        save_file({name: tensors[name] for name in names}, tmp_path / f"{shard}.safetensors")
    places = {"wide": "one.safetensors", "plain": "one.safetensors", "narrow": "two.safetensors"}
    index = tmp_path / "x.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert read_tensors(index).keys() == places.keys()
    for place in ("../one.safetensors", "/etc/passwd", 3):
        index.write_text(json.dumps({"weight_map": {"wide": place}}))
        with pytest.raises(WeightsError, match="outside its folder"):
            read_tensors(index)


def test_checkpoints_are_read_to_the_bit_views_and_all(tmp_path: Path) -> None:
    tensors = some()
    tensors["turned"] = tensors["plain"].t()
    tensors["part"] = tensors["plain"][2:5, 1:3]
    tensors["spread"] = tensors["half"][:, None].expand(5, 2)
    path = tmp_path / "x.pt"
    torch.save({"generator": tensors, "parameter": torch.nn.Parameter(tensors["plain"]), "step": 3}, path)
    found = read_checkpoint(path)
    assert found["step"] == 3 and equal(found["parameter"], tensors["plain"])
    inner = found["generator"]
    assert inner.keys() == tensors.keys() and all(equal(inner[name], tensors[name]) for name in tensors)


class Hostile:
    """Pickled, it is a call of ``os.mkdir``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_and_its_payload_not_run(tmp_path: Path, zipped: bool) -> None:
    path, payload = tmp_path / "x.pt", tmp_path / "ran"
    torch.save(
        {"generator": {"w": torch.zeros(3)}, "extra": Hostile(payload)}, path, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(WeightsError, match=r"x\.pt: ") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and not payload.exists()
    if zipped:
        assert "stranger's code" in str(caught.value)
    torch.load(path, weights_only=False)
    assert payload.is_dir()  # the payload was alive


def test_what_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with pytest.raises(WeightsError, match="no such file"):
        read_checkpoint(path)
    torch.save({"w": torch.randn(100, 100)}, path)
    whole = path.read_bytes()
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.namelist():
            target.writestr(part, source.read(part))
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    broken = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello", "pickle": pickle.dumps({"w": 1})}
    for name, data in broken.items():
        (tmp_path / f"{name}.pt").write_bytes(data)
    for name in (*broken, "packed", "list"):
        with pytest.raises(WeightsError, match=rf"{name}\.pt: ") as caught:
            read_checkpoint(tmp_path / f"{name}.pt")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8000]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]},
        {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": "two", "data_offsets": [0, 8]},
        {"dtype": "F32"},
        7,
    ],
)
def test_headers_that_lie(tmp_path: Path, entry: Any) -> None:
    header = json.dumps({"w": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(WeightsError, match=r"x\.safetensors: not a readable safetensors file"):
        read_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.safetensors", b"", "it is empty"),
        ("a.pt", b"", "it is empty"),
        ("a.safetensors", b"<!DOCTYPE html><html>404</html>", "it is a page of a web site"),
        ("a.pt", b"<?xml version='1.0'?><Error/>", "it is a page of a web site"),
        ("a.safetensors", b"GGUF" + bytes(80), "it is a GGUF file"),
        ("a.safetensors", b"PK\3\4" + bytes(4) + b"x" * 80, "as torch.save writes: name it .pt"),
        ("a.pt", (8).to_bytes(8, "little") + b'{"a": 1}', "it is a safetensors file: name it .safetensors"),
    ],
)
def test_what_a_file_is_instead_is_said(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=said):
        read_tensors(path)
