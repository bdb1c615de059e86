"""The autoencoder's stage on the real world: it learns, looks, releases, and starts from what was released."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shotstream.codecs.video_autoencoder import VideoAutoencoderConfig
from shotstream.codecs.weights import load_autoencoder
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry
from shotstream.core.packed import matrix_names, rounded
from shotstream.training.loop import Run
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stages.autoencoder import AutoencoderRecipe, AutoencoderStage, character_weights

SMALL = VideoAutoencoderConfig(
    latent_channels=8,
    encoder_widths=(8, 8, 16),
    decoder_widths=(8, 8, 16),
    encoder_depths=(1, 1, 1),
    decoder_depths=(1, 1, 1),
    head_width=32,
)


@pytest.fixture(autouse=True)
def every_matrix_is_worth_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' networks are small."""
    monkeypatch.setattr("shotstream.core.packed.WORTH", 1)


def recipe(**changes: object) -> AutoencoderRecipe:
    settings: dict[str, object] = {
        "geometry": Geometry(width=96, height=64, spatial=16, latent_channels=8),
        "autoencoder": SMALL,
        "optimiser": OptimiserSettings(rate=3e-3, matrix_rate=1e-2, ema=0.5),
        "loop": LoopSettings(updates=12, warmup=2, save_every=12, look_every=12, dtype="float32"),
        "clips": 8,
        "held_out_clips": 4,
        "clip_frames": 5,
        "batch": 2,
        "crop": (32, 64),
    }
    return AutoencoderRecipe.model_validate(settings | changes)


def nothing(done: int, total: int) -> None:
    """Nobody watches the drawing."""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The clips' folder, and the weights of a short run."""
    folder = tmp_path_factory.mktemp("autoencoder")
    run = Run(AutoencoderStage(recipe(), folder / "data", nothing), folder / "run")
    run.train(lambda progress: None)
    return folder / "data", folder / "run" / "autoencoder.safetensors"


def test_an_update_depends_on_its_number_alone(released: tuple[Path, Path]) -> None:
    data, _ = released
    stage = AutoencoderStage(recipe(), data, nothing)
    again = AutoencoderStage(recipe(), data, nothing)
    stage.loss(3, "autoencoder")  # an earlier draw must not matter
    stage.roles["autoencoder"].module.load_state_dict(again.roles["autoencoder"].module.state_dict())
    assert torch.equal(stage.loss(7, "autoencoder").loss, again.loss(7, "autoencoder").loss)


def test_a_run_starts_from_what_another_released(released: tuple[Path, Path]) -> None:
    data, path = released
    stage = AutoencoderStage(recipe(start=str(path)), data, nothing)
    ours, theirs = stage.roles["autoencoder"].module.state_dict(), load_autoencoder(path).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_weights_of_other_sizes_are_refused(released: tuple[Path, Path]) -> None:
    data, path = released
    wider = SMALL.model_copy(update={"head_width": 48})
    with pytest.raises(WeightsError, match="other sizes"):
        AutoencoderStage(recipe(start=str(path), autoencoder=wider), data, nothing)


def test_characters_weigh_more_wherever_a_crop_shows_them() -> None:
    inside, absent = [4, 0, 8, 2], [0, 0, 0, 0]
    boxes = np.array([[inside, absent], [[-6, -9, -2, -3], [2, 1, 99, 99]]], float)
    still, moved = character_weights(boxes, (4, 8), 3.0).tolist()
    assert still == [[1] * 4 + [3] * 4] * 3 + [[1] * 8]  # a box's last row and column are in it
    assert moved == [[1] * 8] + [[1, 1] + [3] * 6] * 3  # what is outside of the crop weighs nothing inside


def test_a_smaller_one_learns_to_give_the_latents_of_another(released: tuple[Path, Path], tmp_path: Path) -> None:
    data, path = released
    smaller = SMALL.model_copy(update={"encoder_widths": (4, 8, 12), "decoder_widths": (4, 8, 12)})
    loop = LoopSettings(updates=60, warmup=2, save_every=60, look_every=60, dtype="float32")
    settings = recipe(imitate=str(path), autoencoder=smaller, loop=loop, imitate_weight=4.0)
    run = Run(AutoencoderStage(settings, data, nothing), tmp_path)
    run.train(lambda progress: None)
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    strayed = [line["strayed"] for line in lines if "strayed" in line]
    assert len(strayed) == 60 and sum(strayed[-10:]) < 0.6 * sum(strayed[:10])
    video = torch.rand(1, 5, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ours, theirs = load_autoencoder(tmp_path / "autoencoder.safetensors"), load_autoencoder(path)
    assert ours.config == smaller
    assert ours.encode_groups(video).shape == theirs.encode_groups(video).shape


def test_what_cannot_be_imitated_is_refused(released: tuple[Path, Path]) -> None:
    data, path = released
    other = SMALL.model_copy(update={"latent_channels": 4})
    with pytest.raises(WeightsError, match="has 8 channels for 4 frames, the recipe 4 for 4"):
        AutoencoderStage(recipe(imitate=str(path), autoencoder=other), data, nothing)


def test_rounded_weights_are_left_in_bytes(released: tuple[Path, Path], tmp_path: Path) -> None:
    data, path = released
    optimiser = OptimiserSettings(rate=3e-3, matrix_rate=1e-2, ema=0.5, levels=7)
    run = Run(AutoencoderStage(recipe(optimiser=optimiser), data, nothing), tmp_path)
    run.train(lambda progress: None)
    left = tmp_path / "autoencoder.safetensors"
    assert left.stat().st_size < 0.5 * path.stat().st_size
    kept = load_file(left)
    assert {tensor.dtype for tensor in kept.values()} <= {torch.uint8, torch.int8, torch.float16, torch.int64}
    module = load_autoencoder(left)
    for name in matrix_names(module):
        weight = module.get_parameter(name)
        torch.testing.assert_close(rounded(weight, 7), weight, rtol=1e-5, atol=1e-7)
