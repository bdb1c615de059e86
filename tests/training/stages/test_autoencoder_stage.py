"""The autoencoder's stage on the real world: it learns, looks, releases, and starts from what was released."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from shotstream.checkpoints.codec_weights import load_autoencoder
from shotstream.codecs.video_autoencoder import VideoAutoencoderConfig
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.stages.autoencoder import (
    AutoencoderRecipe,
    AutoencoderStage,
    Learner,
    cell_loss,
    character_weights,
)

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
    learner = cast(Learner, stage.roles["autoencoder"].module)
    ours, theirs = learner.autoencoder.state_dict(), load_autoencoder(path).state_dict()
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


def test_the_first_channels_stand_alone_when_others_are_dropped(released: tuple[Path, Path]) -> None:
    data, _ = released
    stage = AutoencoderStage(
        recipe(autoencoder=SMALL.model_copy(update={"alone_channels": 3}), alone_share=1.0, cell_weight=0.0),
        data,
        nothing,
    )
    learner = cast(Learner, stage.roles["autoencoder"].module)
    report = stage.loss(0, "autoencoder")
    report.loss.backward()
    enter = learner.autoencoder.decoder.enter.weight.grad
    assert enter is not None and enter[:, :3].any() and not enter[:, 3:].any()


def test_more_channels_and_layers_begin_as_the_weights_they_start_from(released: tuple[Path, Path]) -> None:
    data, path = released
    grown = SMALL.model_copy(update={"latent_channels": 12, "encoder_depths": (2, 1, 2), "decoder_depths": (2, 1, 3)})
    geometry = Geometry(width=96, height=64, spatial=16, latent_channels=12)
    stage = AutoencoderStage(recipe(autoencoder=grown, geometry=geometry, start=str(path)), data, nothing)
    module, before = cast(Learner, stage.roles["autoencoder"].module).autoencoder.eval(), load_autoencoder(path).eval()
    video = torch.rand(1, 5, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents, known = module.encode_groups(video), before.encode_groups(video)
        torch.testing.assert_close(latents[:, :, :8], known)
        torch.testing.assert_close(module.decode_groups(latents)[0], before.decode_groups(known)[0])


def test_cells_are_read_by_who_covers_them() -> None:
    cells = torch.tensor([[[[0, 1]], [[-1, 2]], [[-1, 5]]]])[:, None]  # [B 1, F 1, 3, h 1, w 2]
    logits = torch.full((1, 20, 1, 2), -30.0)
    for column, answers in ((0, (0,)), (1, (1, 4 + 2, 12 + 5))):
        logits[0, list(answers), 0, column] = 30
    assert cell_loss(logits, cells[:, 0:1]) < 1e-6
    wrong = logits.clone()
    wrong[0, 4 + 2, 0, 1], wrong[0, 4 + 3, 0, 1] = -30, 30
    assert cell_loss(wrong, cells) > 10
    nobody = torch.full((1, 20, 1, 2), 0.0)
    assert cell_loss(nobody, torch.tensor([[[[0, 0]], [[-1, -1]], [[-1, -1]]]])[:, None]) < 1.4


def test_a_crop_beside_the_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="crop: width 40 is no multiple of a cell of 16 pixels"):
        recipe(crop=(32, 40))
