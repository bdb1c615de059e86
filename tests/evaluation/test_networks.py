"""The paper's networks, loaded from local folders: real classes at random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.core.errors import InputError
from shotstream.evaluation.any_film import Clip, Dinov2, Xclip

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


def test_clip_likens_frames_to_words_as_its_own_library_does(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    words = {"<pad>": 0, "a": 1, "red": 2, "fox": 3, "<end>": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.CLIPConfig(
            text_config=small | {"vocab_size": len(words), "eos_token_id": 4},
            vision_config=small | {"image_size": 28, "patch_size": 14},
            projection_dim=12,
        )
        transformers.CLIPModel(config).save_pretrained(tmp_path)
    size = {"height": 28, "width": 28}
    transformers.BitImageProcessor(size=size, do_center_crop=False).save_pretrained(tmp_path)
    reader = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    reader.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=reader, pad_token="<pad>").save_pretrained(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
    found = Clip(str(tmp_path)).alignment(frames, 16, "a red fox")
    network = transformers.CLIPModel.from_pretrained(tmp_path).eval()
    saved = transformers.BitImageProcessor.from_pretrained(tmp_path)
    mean, deviation = torch.tensor(saved.image_mean), torch.tensor(saved.image_std)
    pixels = ((torch.from_numpy(frames) / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        seen = network(input_ids=torch.tensor([[1, 2, 3]]), pixel_values=pixels)
    expected = (seen.logits_per_image / network.logit_scale.exp()).mean().item()
    assert found == pytest.approx(expected, abs=1e-4)


def test_xclip_describes_a_shot_as_its_own_library_does(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = {
            "image_size": 28,
            "patch_size": 14,
            "num_frames": 3,
            "mit_hidden_size": 12,
            "mit_num_hidden_layers": 1,
        }
        mit = {"mit_num_attention_heads": 2, "mit_intermediate_size": 16}
        config = transformers.XCLIPConfig(
            text_config=small | {"vocab_size": 40}, vision_config=small | vision | mit, projection_dim=12
        )
        transformers.XCLIPModel(config).save_pretrained(tmp_path)
    size = {"height": 28, "width": 28}
    transformers.BitImageProcessor(size=size, do_center_crop=False).save_pretrained(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 3), dtype=np.uint8)
    found = Xclip(str(tmp_path)).describe(frames, 16)
    network = transformers.XCLIPModel.from_pretrained(tmp_path).eval()
    saved = transformers.BitImageProcessor.from_pretrained(tmp_path)
    mean, deviation = torch.tensor(saved.image_mean), torch.tensor(saved.image_std)
    shown = ((torch.from_numpy(frames[[0, 4, 8]]) / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network.get_video_features(pixel_values=shown[None]).pooler_output.double().numpy()
    assert found.shape == (1, 12)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the folder"):
        Dinov2(str(tmp_path))
