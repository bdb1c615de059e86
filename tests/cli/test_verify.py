"""``shotstream verify``: the errors it prints and the code it ends with; the replay itself is tested elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.mark.parametrize(("error", "code"), [(1e-6, 0), (1e-3, 1)])
def test_the_exit_code_says_whether_it_is_the_recorded_model(
    run: Command, monkeypatch: pytest.MonkeyPatch, error: float, code: int
) -> None:
    asked: dict[str, Any] = {}

    def replay(paths: list[Path], **options: Any) -> dict[str, Any]:
        asked.update(paths=paths, **options)
        sections = {str(paths[0]): {"plain/flow": error}}
        return {"files": sections, "max_relative_error": error, "tolerance": 1e-5, "ok": error <= 1e-5}

    monkeypatch.setitem(sys.modules, "shotstream.tools.verify", SimpleNamespace(verify=replay))
    ran = run("verify", "a.safetensors")
    assert ran.code == code
    assert ran.out.split() == ["a.safetensors", "plain/flow", f"{error:.2e}"]
    assert asked == {"paths": [Path("a.safetensors")], "device": "cpu", "dtype": "float32", "tolerance": None}
    ran = run("verify", "a.safetensors", "--json", "--tolerance", "0.1")
    assert (ran.code, json.loads(ran.out)["max_relative_error"]) == (code, error)
    assert asked["tolerance"] == 0.1
