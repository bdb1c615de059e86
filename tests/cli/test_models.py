"""``shotstream models``: headers of weight files, read without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Command = Callable[..., Any]


def test_info_reads_the_header(run: Command, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(
        {"a": torch.zeros(2, 3), "b": torch.zeros(4)},
        path,
        metadata={"kind": "student", "version": "3", "note": "n" * 500},
    )
    ran = run("models", "info", path)
    assert ran.out.startswith("w.safetensors  student 3  0.00M parameters")
    assert max(map(len, ran.out.splitlines())) < 130
    data = json.loads(run("models", "info", path, "--json").out)
    assert (data["kind"], data["version"], data["parameters"]) == ("student", "3", 10)
    assert data["bytes"] == path.stat().st_size
    assert data["metadata"]["note"] == "n" * 500


def test_what_is_no_weight_file(run: Command, tmp_path: Path) -> None:
    for name, data in {"empty": b"", "text": b"hello, this is text", "cut": b"\x40" + bytes(7) + b'{"a": '}.items():
        (tmp_path / name).write_bytes(data)
        ran = run("models", "info", tmp_path / name)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "not a readable safetensors file" in ran.err


def test_list_as_json_names_every_bundled_file(run: Command) -> None:
    data = json.loads(run("models", "list", "--json").out)
    assert all(file["bytes"] > 0 and file["kind"] != "unknown" for file in data["files"])
