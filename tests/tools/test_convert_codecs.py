"""Wan's codecs out of the files of its release: the same modules, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from wan_rig import TEXT, VAE, original_vae_names, text_encoder, vae

from shotstream.core.errors import InputError, WeightsError
from shotstream.tools.convert_codecs import bring_codecs, convert_text_encoder, convert_vae


def test_the_autoencoder_is_the_one_diffusers_loads(wan_release: Path, tmp_path: Path) -> None:
    from diffusers import AutoencoderKLWan

    convert_vae(wan_release / VAE, tmp_path / "vae")
    loaded, said = AutoencoderKLWan.from_pretrained(tmp_path / "vae", output_loading_info=True)
    assert not any(said[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = vae().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_the_text_encoder_is_the_one_transformers_loads(wan_release: Path, tmp_path: Path) -> None:
    from transformers import UMT5EncoderModel

    convert_text_encoder(wan_release / TEXT, tmp_path / "text")
    loaded, said = UMT5EncoderModel.from_pretrained(tmp_path / "text", output_loading_info=True)
    assert not any(said[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = text_encoder()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    ids = torch.tensor([[3, 4, 5, 1]])
    with torch.no_grad():
        states = (loaded.eval()(ids).last_hidden_state, expected(ids).last_hidden_state)
    assert torch.equal(*states)


def test_folders_that_are_right_already_are_linked(wan_release: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    assert sorted(bring_codecs(wan_release, first)) == ["text_encoder", "tokenizer", "vae"]
    (first / "taew2_1.pth").write_bytes(b"light")
    assert sorted(bring_codecs(first, second)) == ["taew2_1.pth", "text_encoder", "tokenizer", "vae"]
    weights = Path("vae") / "diffusion_pytorch_model.safetensors"
    assert (first / weights).samefile(second / weights)
    bring_codecs(first, second)  # the same files once more: nothing to do
    (second / "tokenizer" / "tokenizer.json").unlink()
    (second / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="already exists"):
        bring_codecs(first, second)
    assert bring_codecs(tmp_path, tmp_path / "third") == []


def test_what_is_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, tmp_path / "other.pth")
    for change in (convert_vae, convert_text_encoder):
        with pytest.raises(WeightsError, match=r"other\.pth: not "):
            change(tmp_path / "other.pth", tmp_path / "out")
    tensors = original_vae_names(dict(vae().state_dict()))
    del tensors["decoder.head.2.bias"]
    tensors["encoder.surplus"] = torch.zeros(1)
    torch.save(tensors, tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match=r"missing decoder\.conv_out\.bias.*extra encoder\.surplus"):
        convert_vae(tmp_path / "vae.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()
