"""Wan's video autoencoder, diffusers' ``AutoencoderKLWan``, decoding a shot push by push.

Its convolutions are causal in time: each needs the last two of its inputs from before. Decoding one latent frame at a
time and carrying these features from push to push gives what decoding the whole shot gives.

Axes: B batch · T pixel frames · F latent frames · C latent channels · H, W pixels · h, w latent cells
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor

from shotstream.codecs.protocols import Images, Latents, StreamDecoder, Video
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.geometry import Geometry

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

DecoderMaker = Callable[[], StreamDecoder]

# Numbers held per pixel of one frame, counted while diffusers' module ran: at most, and from frame to frame.
WORK_PER_PIXEL, CARRIED_PER_PIXEL = 5110, 2365


class WanVideoCodec:
    """The autoencoder as a :class:`~shotstream.codecs.protocols.VideoCodec`: inference, on its weights' device.

    Latents are normalised with the published mean and deviation of every channel. light: makes decoders that stand in
    for the autoencoder's own (:class:`shotstream.codecs.tiny_decoder.TinyDecoder`).
    """

    def __init__(self, vae: AutoencoderKLWan, geometry: Geometry, light: DecoderMaker | None = None) -> None:
        _check_fit(vae, geometry)
        self.vae = vae.eval().requires_grad_(False)
        self.geometry = geometry
        self._light = light
        shape = (1, 1, geometry.latent_channels, 1, 1)
        self._mean = torch.tensor(vae.config.latents_mean).view(shape).to(vae.device)
        self._deviation = torch.tensor(vae.config.latents_std).view(shape).to(vae.device)

    @torch.no_grad()
    def encode(self, video: Video) -> Latents:
        """[B, T, 3, H, W] in [-1, 1], T = 1 + 4 k -> [B, 1 + k, C, h, w] float32. One video at a time."""
        self.geometry.latent_frames(video.shape[1])
        latents = [self.vae.encode(self._placed(one)).latent_dist.mode() for one in video.split(1)]
        return (_frames_first(torch.cat(latents)).float() - self._mean) / self._deviation

    def encode_images(self, images: Images) -> Annotated[Tensor, "N C h w"]:
        """[N, 3, H, W] -> [N, C, h, w], each as a video of one frame."""
        return self.encode(images[:, None])[:, 0]

    def decode(self, latents: Latents) -> Video:
        """[B, F, C, h, w] -> [B, 1 + 4 (F - 1), 3, H, W] float32 in [-1, 1]."""
        return self.decoder().push(latents)

    def decoder(self) -> StreamDecoder:
        """A fresh decoder for one shot."""
        return WanStreamDecoder(self) if self._light is None else self._light()

    @torch.no_grad()
    def decode_frame(self, latents: Tensor, features: list[Any], first: bool) -> Tensor:
        """One latent frame [B, 1, C, h, w] -> its pixel frames [B, 1 or 4, 3, H, W]; ``features`` are carried."""
        raw = latents.to(self._mean) * self._deviation + self._mean
        hidden = self.vae.post_quant_conv(self._placed(raw))
        pixels = self.vae.decoder(hidden, feat_cache=features, feat_idx=[0], first_chunk=first)
        return _frames_first(pixels).float().clamp(-1, 1)

    def _placed(self, x: Tensor) -> Tensor:
        """[B, frames, channels, ., .] -> [B, channels, frames, ., .] in the weights' place and precision."""
        return _frames_first(x.to(self.vae.device, self.vae.dtype))


class WanStreamDecoder:
    """Decodes one shot push by push (see :class:`shotstream.codecs.protocols.StreamDecoder`)."""

    def __init__(self, codec: WanVideoCodec) -> None:
        from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

        self._codec = codec
        self._first = True
        # One place per causal convolution: what it saw last.
        convolutions = sum(isinstance(module, WanCausalConv3d) for module in codec.vae.decoder.modules())
        self._features: list[Any] = [None] * convolutions

    def push(self, latents: Annotated[Tensor, "B f C h w"]) -> Annotated[Tensor, "B t 3 H W"]:
        """[B, f, C, h, w] -> [B, t, 3, H, W] in [-1, 1]; the first push yields 1 + 4 (f - 1) frames, later ones 4 f."""
        pixels = []
        for frame in latents.split(1, dim=1):
            pixels.append(self._codec.decode_frame(frame, self._features, self._first))
            self._first = False
        return torch.cat(pixels, dim=1)


def build(config: dict[str, Any]) -> AutoencoderKLWan:
    """The module that a folder's config describes, without its numbers."""
    from diffusers import AutoencoderKLWan

    module: AutoencoderKLWan = AutoencoderKLWan.from_config(config)
    return module


def _frames_first(x: Tensor) -> Tensor:
    """Swap the second and third axis."""
    return x.transpose(1, 2)


def _check_fit(vae: AutoencoderKLWan, geometry: Geometry) -> None:
    config = vae.config
    if config.patch_size is not None or config.is_residual:
        raise WeightsError("vae: another autoencoder than Wan 2.1's; give the one the transformer was trained with")
    named = (
        ("latent_channels", config.z_dim),
        ("temporal", config.scale_factor_temporal),
        ("spatial", config.scale_factor_spatial),
    )
    said = geometry.model_dump()
    for name, value in named:
        if said[name] != value:
            raise InputError(f"geometry says {name} {said[name]}, the autoencoder's weights say {value}")
