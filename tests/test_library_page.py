"""The examples of docs/library.md run as they are written, one after the other, with a tiny model."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import shotstream
from shotstream import pipeline
from shotstream.media.video import read_info

ROOT = Path(__file__).parents[1]


def run_page(page: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> dict[str, object]:
    """The names that the page's Python leaves, ``load`` and ``generate`` using ``model`` whatever they are told."""
    load, generate = shotstream.load, shotstream.generate
    monkeypatch.setattr(shotstream, "load", lambda *_, **given: load(model, device="cpu", **given), raising=False)
    monkeypatch.setattr(shotstream, "generate", lambda *a, **given: generate(*a, model=model, **given), raising=False)
    monkeypatch.setattr(pipeline, "load", lambda *_, **given: load(model, device="cpu", **given))
    names: dict[str, object] = {"__name__": "page"}
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code, str(page), "exec"), names)
    return names


def write_style(model: Path, path: Path) -> None:
    """A LoRA for ``model``, named as ComfyUI does."""
    weight = load_file(model / "student.safetensors")["blocks.0.self_attn.q.weight"]
    sides = {"lora_A": torch.ones(2, weight.shape[1]), "lora_B": torch.ones(weight.shape[0], 2)}
    save_file({f"diffusion_model.blocks.0.self_attn.q.{side}.weight": one for side, one in sides.items()}, path)


def test_the_page_of_the_library(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_style(tiny_model, tmp_path / "style.safetensors")
    with wave.open("song.wav", "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(bytes(16_000))
    names = run_page(ROOT / "docs" / "library.md", monkeypatch, tiny_model)
    film = names["film"]
    assert 0 in [names["long"].record.find(seen.take)[0] for seen in names["back"].record.saw]
    assert [shot.caption for shot in film.shots][:2] == [
        "Wide shot. The fox walks to the left.",
        "A close-up of the fox.",
    ]
    assert [one.name for one in names["styled"].shots[1].chosen.record.lora] == ["style"]
    assert film.stale == () and len(film.shots) == 6
    assert len(film.shots[0].takes) == 2
    fourth, on = (film.shots[index].chosen.record for index in (3, 4))
    assert (fourth.changes[0].blend, len(on.block_frames)) == (2, 9)
    assert read_info(tmp_path / "fox24.mp4").fps == 24
    assert read_info(tmp_path / "fox.mp4").frames > read_info(tmp_path / "owl.mp4").frames


def test_the_example_of_the_readme(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film = run_page(ROOT / "README.md", monkeypatch, tiny_model)["film"]
    assert len(film.shots[0].takes) == 2
    assert (tmp_path / "fox.film").is_file() and read_info(tmp_path / "fox.mp4").frames == 33
