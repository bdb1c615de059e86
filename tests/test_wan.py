"""A model in Wan's layout through the very same path as the embedded one: load, generate, the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from wan_rig import TINY_WAN, tiny_decoder_weights

import shotstream
from shotstream.checkpoints.memory_plan import MemoryPlan
from shotstream.cli.main import main
from shotstream.core.errors import InputError, WeightsError
from shotstream.media.video import read_video

STORY = {
    "global_caption": "A red fox in the snow.",
    "seed": 3,
    "shots": [{"caption": "Wide shot. It walks.", "seconds": 1.3}, {"caption": "It walks in."}],
}


def test_a_story_becomes_a_film_and_the_second_shot_sees_the_first(tiny_wan: Path, home: Path) -> None:
    film = shotstream.generate(STORY, model=tiny_wan, device="cpu", dtype="float32")
    geometry = TINY_WAN.geometry
    assert len(film.shots) == 2
    film.export(home.parent / "film.mp4")
    made = read_video(home.parent / "film.mp4")
    assert made.shape == (21 + 9, geometry.height, geometry.width, 3)
    assert list((home / "embeddings").rglob("*.safetensors"))
    retold = {**STORY, "shots": [{"caption": "Wide shot. Snow.", "seconds": 1.3}, STORY["shots"][1]]}  # type: ignore[index]
    other = shotstream.generate(retold, model=tiny_wan, device="cpu", dtype="float32")
    other.export(home.parent / "other.mp4")
    assert not np.array_equal(read_video(home.parent / "other.mp4")[21:], made[21:])


def test_the_command_makes_a_film_and_says_first_what_memory_it_takes(
    tiny_wan: Path, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    story, film = tmp_path / "fox.json", tmp_path / "fox.mp4"
    story.write_text(json.dumps(STORY))
    words = ["generate", str(story), "--model", str(tiny_wan), "--device", "cpu", "--size", "64x48", "--json"]
    assert main([*words, "-o", str(film)]) == 0
    said = capfd.readouterr()
    report = json.loads(said.out)
    assert (report["model"], report["width"], report["height"], report["frames"]) == ("tiny-wan", 64, 48, 30)
    assert report["unknown_words"] == [] and report["model_version"].startswith("student-")
    assert said.err.index("memory: at most") < said.err.index("frames/s")
    assert read_video(film).shape == (30, 48, 64, 3)


@pytest.mark.parametrize("size", ["80x32", "32x80", "16x16"])
def test_any_size_of_whole_tokens(tiny_wan: Path, home: Path, size: str) -> None:
    width, height = (int(side) for side in size.split("x"))
    director = shotstream.load(tiny_wan, device="cpu", size=size)
    take = director.open(global_caption="A fox.", seed=1).shot("It walks.", seconds=0.5)
    assert [block.frames.shape for block in take] == [(9, height, width, 3)]


def test_a_shot_longer_than_trained_for_rolls_on(tiny_wan: Path, home: Path) -> None:
    film = shotstream.load(tiny_wan, device="cpu").open(global_caption="A fox.", seed=1)
    take = film.shot("It walks.", seconds=0.5)
    made = []
    for block in take:
        made.append(len(block.frames))
        if len(made) == 1:
            take.extend(4)
    assert made == [9, 12, 12, 12, 12]


def test_the_light_decoder_stands_in_for_the_autoencoders(tiny_wan: Path, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "light"
    shutil.copytree(tiny_wan, folder)
    with pytest.raises(WeightsError, match=r"taew2_1\.pth: no such file"):
        shotstream.load(folder, device="cpu", light_decoder=True)
    torch.save(tiny_decoder_weights((16, 12, 8, 8)), folder / "taew2_1.pth")
    director = shotstream.load(folder, device="cpu", light_decoder=True)
    full, light = (
        [block.frames for block in one.open(global_caption="A fox.", seed=1).shot("It walks.", seconds=0.5)]
        for one in (shotstream.load(folder, device="cpu"), director)
    )
    assert [one.shape for one in light] == [one.shape for one in full]
    assert not np.array_equal(light[0], full[0])


def test_memory_is_planned_before_loading_and_too_little_refused(tiny_wan: Path, home: Path) -> None:
    plans: list[MemoryPlan] = []
    shotstream.load(tiny_wan, device="cpu", memory=1, on_plan=plans.append)
    assert plans[0].free == 1_000_000_000 and 0 < plans[0].on_device < plans[0].free
    with pytest.raises(InputError, match=r"48x32 in float32 needs 0\.0 GB on cpu, 0\.0 GB are free"):
        shotstream.load(tiny_wan, device="cpu", dtype="float32", memory=1e-6, on_plan=plans.append)
    assert len(plans) == 2


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"size": "50x32"}, "size 50x32: both must be multiples of 16; the nearest is 48 x 32"),
        ({"size": "0x32"}, "must be multiples of 16"),
        ({"size": "big"}, "give width and height in pixels, as 512x288"),
        ({"attention": "cudnn"}, "no attention kernel 'cudnn' for cpu in torch.float32; use one of auto, softmax"),
        ({"attention": "x"}, "no attention kernel 'x'"),
    ],
)
def test_impossible_wishes_are_one_line(tiny_wan: Path, wish: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        shotstream.load(tiny_wan, device="cpu", dtype="float32", **wish)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_weights_without_codecs_say_what_to_bring(tiny_wan: Path, tmp_path: Path) -> None:
    for name in ("student.safetensors", "preset.json"):
        shutil.copy(tiny_wan / name, tmp_path / name)
    with pytest.raises(WeightsError, match=r"holds no codecs, .* models convert --codecs"):
        shotstream.load(tmp_path, device="cpu")


def test_a_preset_that_was_not_pulled_says_how(home: Path) -> None:
    for name in ("wan-1.3b", "someone/model"):
        with pytest.raises(WeightsError, match=f"shotstream models pull {name}"):
            shotstream.load(name)


def test_versions_tell_codecs_and_weights_apart(tiny_wan: Path, tmp_path: Path, home: Path) -> None:
    def change(name: str) -> Callable[[Path], None]:
        def changed(folder: Path) -> None:
            with safe_open(folder / name, "pt") as file:
                header = {key: one for key, one in file.metadata().items() if key != "checksum"}
            tensors = load_file(folder / name)
            next(iter(tensors.values())).view(-1)[0] += 1
            save_file(tensors, folder / name, metadata=header)

        return changed

    versions = {shotstream.load(tiny_wan, device="cpu").model_version}
    parts = ("student.safetensors", "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors")
    for number, part in enumerate(parts):
        folder = tmp_path / str(number)
        shutil.copytree(tiny_wan, folder)
        change(part)(folder)
        versions.add(shotstream.load(folder, device="cpu").model_version)
    assert len(versions) == 1 + len(parts)


def test_kernels_by_name_make_the_same_pictures(tiny_wan: Path, home: Path) -> None:
    def frames(kernel: Any) -> np.ndarray:
        director = shotstream.load(tiny_wan, device="cpu", dtype="float32", attention=kernel)
        take = director.open(global_caption="A fox.", seed=1).shot("It walks.", seconds=0.5)
        return np.concatenate([block.frames for block in take]).astype(int)

    expected = frames("softmax")
    assert expected.std() > 1
    for kernel in ("sdpa", "math", "flash"):
        assert np.abs(frames(kernel) - expected).max() <= 1  # rounding to whole levels


def test_convert_on_the_command_line(
    wan_release: Path, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    described = tmp_path / "tiny.json"
    described.write_text(TINY_WAN.model_dump_json())
    words = ["models", "convert", str(wan_release), str(tmp_path / "m"), "--preset", str(described), "--json"]
    assert main(words) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["layout"], told["preset"], sorted(told["codecs"])) == (
        "wan",
        "tiny-wan",
        ["text_encoder", "tokenizer", "vae"],
    )
    assert shotstream.load(tmp_path / "m", device="cpu").model_name == "tiny-wan"
    alone = [*words[:2], str(wan_release / "diffusion_pytorch_model.safetensors"), str(tmp_path / "n"), *words[4:]]
    assert main(alone) == 0 and json.loads(capfd.readouterr().out)["codecs"] == []
    assert main([*alone, "--force", "--codecs", str(wan_release)]) == 0
    assert shotstream.load(tmp_path / "n", device="cpu").model_name == "tiny-wan"
    capfd.readouterr()
    (tmp_path / "empty").mkdir()
    assert main([*alone, "--force", "--codecs", str(tmp_path / "empty")]) == 2
    assert main(words) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2 and "no vae/ (Wan2.1_VAE.pth" in said[0] and "already exists" in said[1]


def test_plan_and_pull_on_the_command_line(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "plan", "--memory", "16", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["fits"] and told["device"] == "cuda" and told["free"] == 16_000_000_000
    assert main(["models", "plan", "--memory", "2"]) == 0
    said = capfd.readouterr()
    assert said.out.startswith("memory: at most ") and "does not fit" in said.err
    assert main(["models", "pull", "nothing"]) == 2
    assert "cannot be pulled" in capfd.readouterr().err
