"""The light autoencoder: streaming equals whole, and what is coded alone is coded as a first frame is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shotstream.checkpoints.codec_weights import load_autoencoder, save_autoencoder
from shotstream.codecs.protocols import VideoCodec
from shotstream.codecs.video_autoencoder import LightVideoCodec, VideoAutoencoder, VideoAutoencoderConfig, alone, fitted
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.geometry import Geometry

GEOMETRY = Geometry(width=64, height=32, spatial=16, latent_channels=6)
CONFIG = VideoAutoencoderConfig(
    latent_channels=6,
    encoder_widths=(8, 8, 16),
    decoder_widths=(8, 8, 16),
    encoder_depths=(1, 1, 1),
    decoder_depths=(1, 2, 1),
    head_width=16,
)


def make_codec() -> LightVideoCodec:
    """Random weights in every layer, the ones that start at zero too."""
    torch.manual_seed(0)
    module = VideoAutoencoder(CONFIG)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    module.normalise.running_mean.uniform_(-1, 1)
    module.normalise.running_var.uniform_(0.5, 2)
    return LightVideoCodec(module, GEOMETRY)


CODEC = make_codec()


def clip(frames: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, frames, 3, 32, 64, generator=torch.Generator().manual_seed(frames)) * 2 - 1


def test_it_is_a_video_codec() -> None:
    assert isinstance(CODEC, VideoCodec)
    assert CODEC.encode(clip(9, batch=2)).shape == (2, 3, *GEOMETRY.latent_shape)
    assert CODEC.decode(CODEC.encode(clip(9))).shape == (1, 9, 3, 32, 64)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_decoding_in_pieces_is_decoding_whole(pieces: list[int]) -> None:
    latents = torch.randn(1, sum(pieces), *GEOMETRY.latent_shape, generator=torch.Generator().manual_seed(1))
    decoder = CODEC.decoder()
    streamed = torch.cat([decoder.push(piece) for piece in latents.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(streamed, CODEC.decode(latents), atol=1e-5, rtol=0)


def test_a_frame_coded_alone_is_coded_as_the_first_of_a_clip() -> None:
    video = clip(9)
    torch.testing.assert_close(CODEC.encode_images(video[:, 0]), CODEC.encode(video)[:, 0], atol=1e-5, rtol=0)


def test_decoding_never_looks_ahead_but_does_look_back() -> None:
    latents = torch.randn(1, 4, *GEOMETRY.latent_shape)
    changed = latents.clone()
    changed[:, 2] += 1
    before, after = CODEC.decode(latents), CODEC.decode(changed)
    frames = GEOMETRY.pixel_frames(2)
    assert torch.equal(before[:, :frames], after[:, :frames])
    later = slice(GEOMETRY.pixel_frames(3), None)
    assert not torch.equal(before[:, later], after[:, later])


def test_lengths_other_than_one_plus_four_k_are_refused() -> None:
    with pytest.raises(InputError, match="7 frames"):
        CODEC.encode(clip(7))


def test_a_geometry_that_is_not_the_weights_is_refused() -> None:
    with pytest.raises(InputError, match=r"latent_channels 8.*say 6"):
        LightVideoCodec(VideoAutoencoder(CONFIG), Geometry(width=64, height=32, spatial=16, latent_channels=8))


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "autoencoder.safetensors"
    save_autoencoder(CODEC.autoencoder, path)
    again = LightVideoCodec(load_autoencoder(path), GEOMETRY)
    torch.testing.assert_close(again.encode(clip(5)), CODEC.encode(clip(5)), atol=2e-2, rtol=0)  # half precision


def test_a_damaged_file_and_a_file_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "autoencoder.safetensors"
    path.write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match=r"autoencoder\.safetensors: not a readable"):
        load_autoencoder(path)
    save_autoencoder(CODEC.autoencoder, path)
    path.write_bytes(path.read_bytes().replace(b"video-autoencoder", b"some-other-things"))
    with pytest.raises(WeightsError, match="some-other-things"):
        load_autoencoder(path)


def test_the_channels_that_stand_alone_are_an_autoencoder_of_their_own() -> None:
    torch.manual_seed(0)
    whole = VideoAutoencoder(CONFIG.model_copy(update={"alone_channels": 3})).eval()
    own = alone(whole).eval()
    assert own.config.latent_channels == 3 and own.config.alone_channels is None
    video = torch.rand(1, 9, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        latents = whole.encode_groups(video)
        torch.testing.assert_close(own.encode_groups(video), latents[:, :, :3])
        latents[:, :, 3:] = 0
        torch.testing.assert_close(own.decode_groups(latents[:, :, :3])[0], whole.decode_groups(latents)[0])


def test_channels_that_cannot_stand_alone_are_not_parted() -> None:
    with pytest.raises(InputError, match="not trained to do with fewer"):
        alone(VideoAutoencoder(CONFIG))
    with pytest.raises(ValueError, match="alone_channels: 99 of"):
        VideoAutoencoderConfig(latent_channels=8, alone_channels=99)


def test_of_channels_that_can_do_without_the_rest_a_geometry_gets_as_many_as_it_names() -> None:
    whole = VideoAutoencoder(CONFIG.model_copy(update={"alone_channels": 4}))
    assert fitted(whole, GEOMETRY) is whole
    fewer = fitted(whole, GEOMETRY.model_copy(update={"latent_channels": 4}))
    assert fewer.config.latent_channels == 4 and fewer.config.alone_channels is None
    assert fitted(whole, GEOMETRY.model_copy(update={"latent_channels": 5})) is whole  # refused where it is used
