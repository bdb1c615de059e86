"""The autoencoder's stage on the real world: it learns, looks, releases, and starts from what was released."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.codecs.video_autoencoder import VideoAutoencoderConfig
from shotstream.codecs.weights import load_autoencoder
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry
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
