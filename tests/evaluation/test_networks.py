"""The paper's networks, loaded from local folders: real classes at random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.core.errors import InputError
from shotstream.evaluation.networks import Dinov2

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
        )
        transformers.Dinov2Model(config).save_pretrained(tmp_path)
    size = {"height": 28, "width": 28}
    transformers.BitImageProcessor(size=size, do_center_crop=False).save_pretrained(tmp_path)
    return tmp_path


def test_dinov2_describes_frames_as_its_own_library_does(folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
    found = Dinov2(str(folder)).describe(frames, 16)
    network = transformers.Dinov2Model.from_pretrained(folder).eval()
    saved = transformers.BitImageProcessor.from_pretrained(folder)
    mean, deviation = torch.tensor(saved.image_mean), torch.tensor(saved.image_std)
    pixels = ((torch.from_numpy(frames) / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(pixel_values=pixels).last_hidden_state[:, 0].double().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the folder"):
        Dinov2(str(tmp_path))
