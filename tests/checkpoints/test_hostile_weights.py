"""Weight files from strangers, or damaged: refused in one line, whatever they hold."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import pytest
import torch

from shotstream.checkpoints.safetensors_file import read_safetensors
from shotstream.checkpoints.tensor_files import read_checkpoint
from shotstream.core.errors import WeightsError

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as fault:
        (read_safetensors if path.suffix == ".safetensors" else read_checkpoint)(path)
    said = str(fault.value)
    assert said.startswith(str(path)) and "\n" not in said and len(said) < 400 + len(str(path))
    return said


def safetensors(path: Path, header: bytes, data: bytes = bytes(16)) -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"[]", "list where names"),
        (b"null", "NoneType where names"),
        (b"33", "int where names"),
        (b"[" * 100_000, "not a readable"),
        (b'{"a":' * 50_000, "not a readable"),
        (b'{"__metadata__": []}', "list where names"),
        (b'{"__metadata__": {"a": 1}}', "not text"),
        (b'{"a": null}', "NoneType where names"),
        (b'{"a": {"dtype": "F32", "shape": [2]}}', "data_offsets"),
        (json.dumps({"a": GOOD | {"shape": [-2]}}).encode(), "outside"),
        (json.dumps({"a": GOOD | {"shape": [1 << 70]}}).encode(), "not a readable"),
        (json.dumps({"a": GOOD | {"shape": "ab"}}).encode(), "not a readable"),
        (json.dumps({"a": GOOD | {"data_offsets": [8]}}).encode(), "not a readable"),
        (json.dumps({"a": GOOD | {"dtype": ["F32"]}}).encode(), "not a readable"),
        (json.dumps({"a": GOOD, "b": GOOD}).encode(), "a and b lie in the same place"),
        (json.dumps({"a": GOOD, "b": GOOD | {"data_offsets": [4, 12]}}).encode(), "in the same place"),
        (f'{{"a": {json.dumps(GOOD)}, "a": {json.dumps(GOOD)}}}'.encode(), "twice"),
    ],
)
def test_odd_headers_are_refused(tmp_path: Path, header: bytes, said: str) -> None:
    assert said in refusal(safetensors(tmp_path / "a.safetensors", header))


def test_a_good_header_is_read(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"a": "b"}, "a": GOOD, "b": GOOD | {"data_offsets": [8, 16]}}).encode()
    assert set(read_safetensors(safetensors(tmp_path / "a.safetensors", header))) == {"a", "b"}


def checkpoint() -> bytes:
    target = io.BytesIO()
    torch.save({"weight": torch.arange(40.0), "names": ["a", "b"]}, target)
    return target.getvalue()


def test_damaged_checkpoints_are_refused_or_read(tmp_path: Path) -> None:
    whole, dice, path = checkpoint(), random.Random(5), tmp_path / "a.pt"
    for number in range(120):
        data = bytearray(whole)
        if number % 2:
            del data[dice.randrange(len(data)) :]
        for _ in range(dice.randrange(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256) if data else 0
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except WeightsError as fault:
            assert "\n" not in str(fault)


@pytest.mark.parametrize(
    "pickled", [b"", b"\x80", b"\x80\x02.", b"\x80\x02a.", b"\x80\x02]q\x000e.", b"j\xff\xff\xff\xff."]
)
def test_checkpoints_made_by_hand_are_refused(tmp_path: Path, pickled: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", b"3")
    refusal(tmp_path / "a.pt")
