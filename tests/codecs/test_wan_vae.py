"""Wan's autoencoder, decoded in pieces: what diffusers decodes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from wan_rig import TINY_WAN, vae

from shotstream.checkpoints.codec_weights import READER
from shotstream.codecs.protocols import StreamDecoder, VideoCodec
from shotstream.codecs.wan_vae import WanVideoCodec, build
from shotstream.core.errors import InputError, WeightsError

pytest.importorskip("diffusers")
CPU = torch.device("cpu")


def load_vae(folder: Path, dtype: torch.dtype) -> Any:
    module = READER.unread(folder, build)
    READER.fill(module, folder, CPU, dtype)
    return module


@pytest.fixture(scope="module")
def codec() -> WanVideoCodec:
    return WanVideoCodec(vae(), TINY_WAN.geometry)


def latents(frames: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.randn(batch, frames, *TINY_WAN.geometry.latent_shape, generator=generator)


def test_it_is_what_the_house_calls_a_codec(codec: WanVideoCodec) -> None:
    assert isinstance(codec, VideoCodec) and isinstance(codec.decoder(), StreamDecoder)


@pytest.mark.parametrize("pieces", [[7], [3, 3, 1], [1, 1, 5], [2, 4, 1]])
def test_any_pieces_decode_to_what_diffusers_decodes_whole(codec: WanVideoCodec, pieces: list[int]) -> None:
    whole = latents(sum(pieces), batch=2)
    config = codec.vae.config
    mean, deviation = (torch.tensor(one).view(1, -1, 1, 1, 1) for one in (config.latents_mean, config.latents_std))
    with torch.no_grad():
        expected = codec.vae.decode(whole.transpose(1, 2) * deviation + mean).sample.transpose(1, 2)
    decoder = codec.decoder()
    pushed = [decoder.push(piece) for piece in whole.split(pieces, dim=1)]
    counts = [4 * frames - (3 if index == 0 else 0) for index, frames in enumerate(pieces)]
    assert [one.shape[1] for one in pushed] == counts
    torch.testing.assert_close(torch.cat(pushed, dim=1), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(codec.decode(whole), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.05  # it says something


def test_decoders_do_not_share_what_they_carry(codec: WanVideoCodec) -> None:
    first, second = codec.decoder(), codec.decoder()
    first.push(latents(2))
    second.push(latents(3))
    again = codec.decoder()
    again.push(latents(2))
    assert torch.equal(first.push(latents(1)), again.push(latents(1)))


def test_condition_frames_are_videos_of_one_frame_in_normalised_latents(codec: WanVideoCodec) -> None:
    geometry = TINY_WAN.geometry
    images = torch.rand(3, 3, geometry.height, geometry.width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    encoded = codec.encode_images(images)
    assert encoded.shape == (3, *geometry.latent_shape) and encoded.dtype == torch.float32
    config = codec.vae.config
    mean, deviation = (torch.tensor(one).view(1, -1, 1, 1, 1) for one in (config.latents_mean, config.latents_std))
    with torch.no_grad():
        expected = (codec.vae.encode(images[:, :, None]).latent_dist.mean - mean) / deviation
    torch.testing.assert_close(encoded, expected[:, :, 0], atol=1e-5, rtol=1e-5)
    assert torch.equal(codec.encode_images(images[1:2])[0], encoded[1])  # alone or among others
    video = codec.encode(images.repeat(3, 1, 1, 1)[None])
    assert video.shape == (1, 3, *geometry.latent_shape)
    torch.testing.assert_close(video[0, 0], encoded[0], atol=1e-5, rtol=1e-5)
    with pytest.raises(InputError, match="a clip holds"):
        codec.encode(images[None, [0, 1]])


def test_a_folder_is_checked_before_it_is_believed(tiny_wan: Path, tmp_path: Path) -> None:
    loaded = load_vae(tiny_wan / "vae", torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    expected = vae().state_dict()
    assert all(torch.equal(tensor, expected[name].bfloat16()) for name, tensor in loaded.state_dict().items())
    WanVideoCodec(loaded, TINY_WAN.geometry).decode(latents(1))
    with pytest.raises(WeightsError, match=r"config\.json: no such file"):
        load_vae(tmp_path, torch.float32)
    said = (tiny_wan / "vae" / "config.json").read_text()
    (tmp_path / "config.json").write_text(said)
    with pytest.raises(WeightsError, match=r"no \*\.safetensors in it"):
        load_vae(tmp_path, torch.float32)
    weights = "diffusion_pytorch_model.safetensors"
    (tmp_path / weights).symlink_to(tiny_wan / "vae" / weights)
    (tmp_path / "config.json").write_text(said.replace('"base_dim": 4', '"base_dim": 8'))
    with pytest.raises(WeightsError, match=r"decoder\.conv_in\.bias is \[16\] instead of \[32\]"):
        load_vae(tmp_path, torch.float32)


def test_geometry_must_be_the_autoencoders() -> None:
    geometry = TINY_WAN.geometry.model_copy(update={"spatial": 16})
    with pytest.raises(InputError, match="spatial 16, the autoencoder's weights say 8"):
        WanVideoCodec(vae(), geometry)
