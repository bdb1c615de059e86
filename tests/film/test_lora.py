"""LoRA adapters at run time: what peft makes of them, per shot and beside other films, and the weights as they were."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

import shotstream
from shotstream.core.errors import InputError, WeightsError
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.training.engine.role_state import with_adapters_added as merged_by_peft

GLOBAL = "a red fox in the forest"


def lora_for(director: Director, folder: Path, seed: int = 1) -> tuple[Path, dict[str, torch.Tensor]]:
    """A LoRA written by peft, of every linear layer of every block; and the weights as peft merges them."""
    torch.manual_seed(seed)
    model = copy.deepcopy(director.generator.model).fuse_(False).float()
    layers = [name for name, one in model.named_modules() if isinstance(one, torch.nn.Linear) and "blocks." in name]
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=8, target_modules=layers))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(folder)
    merged = merged_by_peft(adapted.base_model.model).state_dict()
    return folder, {name: one.detach().clone() for name, one in merged.items()}


def frames_of(director: Director, lora: dict[str, float] | None) -> np.ndarray:
    with director.open(global_caption=GLOBAL, seed=7) as film:
        film.shot("it walks", seconds=0.6, lora=lora).wait()
        film.shot("it sits", seconds=1.3, lora=lora).wait()
        return np.stack(list(film.frames()))


@pytest.mark.parametrize(
    ("model", "dtype"), [("tiny_model", "float32"), ("tiny_model", "bfloat16"), ("tiny_wan", "float32")]
)
def test_adapters_come_and_go_and_leave_no_bit(
    model: str, dtype: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    director = shotstream.load(request.getfixturevalue(model), device="cpu", dtype=dtype)
    network = director.generator.model
    before = {name: one.clone() for name, one in network.state_dict().items()}
    plain = frames_of(director, None)
    path, merged = lora_for(director, tmp_path / "style")
    assert director.load_lora(path) == "style"
    assert np.array_equal(frames_of(director, {}), plain) and np.array_equal(frames_of(director, {"style": 0}), plain)
    full = frames_of(director, None)  # all that are loaded
    assert not np.array_equal(full, plain)
    close = {"float32": 1e-5, "bfloat16": 2e-2}[dtype]
    assert all(
        torch.allclose(one.float(), merged[name], atol=close, rtol=close) for name, one in network.state_dict().items()
    )
    frames_of(director, {"style": 0.5})
    half = {name: (before[name].float() + merged[name]) / 2 for name in before}
    assert all(
        torch.allclose(one.float(), half[name], atol=close, rtol=close) for name, one in network.state_dict().items()
    )
    director.unload_lora("style")
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert np.array_equal(frames_of(director, None), plain) and director.loras() == {}


def test_films_take_turns_with_adapters_of_their_own(tiny_model: Path, tmp_path: Path) -> None:
    director = shotstream.load(tiny_model, device="cpu", lora={})
    director.load_lora(lora_for(director, tmp_path / "one", 1)[0], weight=0)
    director.load_lora(lora_for(director, tmp_path / "two", 2)[0], name="other", weight=0.5)
    choices: list[dict[str, float] | None] = [{}, {"one": 1.0}, {"one": 0.5, "other": -1.0}, None]
    alone = []
    for lora in choices:
        with director.open(global_caption=GLOBAL, seed=7) as film:
            alone.append(film.shot("it walks", seconds=2, lora=lora).wait().frames)
    assert len({one.tobytes() for one in alone}) == 4
    takes = []
    for lora in choices:
        film = director.open(global_caption=GLOBAL, seed=7)
        film.set_lora(lora)
        takes.append(film.shot("it walks", seconds=2))
    for _ in zip(*takes, strict=True):  # a block of each in turn
        pass
    assert all(np.array_equal(take.frames, one) for take, one in zip(takes, alone, strict=True))
    assert [(one.name, one.weight) for one in takes[3].record.lora or ()] == [("one", 0.0), ("other", 0.5)]
    assert all(one.fingerprint for one in takes[3].record.lora or ())


def test_what_is_no_lora_of_this_model_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    director = shotstream.load(tiny_model, device="cpu")
    before = {name: one.clone() for name, one in director.generator.model.state_dict().items()}
    path, _ = lora_for(director, tmp_path / "style")
    tensors = load_file(path / "adapter_model.safetensors")
    config = json.loads((path / "adapter_config.json").read_text())

    def changed(name: str, told: dict[str, torch.Tensor], **settings: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        save_file(told, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))
        return folder

    first = next(iter(tensors))
    cases = [
        (
            changed("other", {f"{name.replace('blocks', 'layers')}": one for name, one in tensors.items()}),
            "another model",
        ),
        (changed("dora", tensors, use_dora=True), "use_dora: True is not supported"),
        (changed("half", {name: one for name, one in tensors.items() if name != first}), "incomplete"),
        (tiny_model / "student.safetensors", "is a model of its own; load it as one"),
        (tmp_path / "none.safetensors", "no such file or folder"),
        (Path(__file__), r"\.py files are not read"),
    ]
    for folder, said in cases:
        with pytest.raises(WeightsError, match=said) as raised:
            director.load_lora(folder)
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 500
    director.load_lora(path)
    for act, said in (
        (lambda: director.load_lora(path), "LoRA 'style' is loaded already"),
        (lambda: director.load_lora(path, name="strong", weight=9), "names with weights from -4 to 4"),
        (lambda: director.unload_lora("other"), "LoRA 'other' is not loaded; loaded: 'style'"),
        (lambda: shotstream.load(tiny_model, device="cpu", lora=["a=b"]), "lora a=b: give FILE, or FILE=WEIGHT"),
        (lambda: shotstream.load(tiny_model, device="cpu", lora=[path], eight_bit="int8"), "its weights in int8"),
    ):
        with pytest.raises(InputError, match=said):
            act()
    assert all(torch.equal(one, before[name]) for name, one in director.generator.model.state_dict().items())
    again = shotstream.load(tiny_model, device="cpu", lora=[f"{path}=0.8"])
    assert again.loras()["style"].weight == 0.8


def test_a_take_keeps_to_its_adapters(engine: Any, tmp_path: Path) -> None:
    engine.loaded = ("neon", "ink")
    film = Film.new(engine, "A red fox.", 7, tmp_path / "film")
    film.shot("It sits.", lora={"neon": 0.8}).wait()
    film.set_lora({"ink": 1.0})
    second = film.shot("It walks.").wait()
    assert [[(one.name, one.weight) for one in shot.chosen.record.lora] for shot in film.shots] == [
        [("neon", 0.8)],
        [("ink", 1.0)],
    ]
    assert film.stale == ()
    film.set_lora(None)
    assert film.undoable == "lora" and film.stale == ()
    remade, frames = film.remake(1).wait(), second.frames
    assert np.array_equal(remade.frames, frames) and remade.record.lora == second.record.lora
    assert [one.name for one in film.retake(1).wait().record.lora] == ["neon", "ink"]  # all that are loaded
    assert [one.name for one in film.retake(0).wait().record.lora] == ["neon"]  # its shot says so
    assert [one.name for one in film.retake(0, lora={"ink": 0.1}).wait().record.lora] == ["ink"]
    assert film.story().shots[1].lora == {"neon": 0.5, "ink": 0.5}
    film.close()
    engine.loaded = ()
    again = Film.reopen(engine, tmp_path / "film")
    again.choose(0, 0)
    with pytest.raises(InputError, match=r"shot 0 is made with LoRA 'neon', which is not loaded \(loaded: none\)"):
        again.remake(0).wait()
    for lora, said in (
        ({"": 1}, "at most 8 names"),
        ({"a": 5}, "weights from -4 to 4"),
        ({"a": float("nan")}, "weights"),
    ):
        with pytest.raises(InputError, match=said):
            again.set_lora(lora)
