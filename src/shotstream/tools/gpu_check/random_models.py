"""Models for the GPU check: Wan with random weights of the published sizes, and the packaged model.

Axes: B batch, N images, F latent frames, C channels, W caption tokens, D their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from shotstream.checkpoints.model_files import EMBEDDED, find_model
from shotstream.checkpoints.transformer_weights import load_transformer, read_header
from shotstream.codecs import wan_vae
from shotstream.codecs.protocols import StreamDecoder
from shotstream.codecs.tiny_decoder import TinyDecoder, TinyNetwork
from shotstream.codecs.umt5 import TEXT_LEN
from shotstream.codecs.wan_vae import WanVideoCodec
from shotstream.core.devices import pick_dtype
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import stream
from shotstream.families.family import CodecOptions
from shotstream.families.preset import Preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.families.wan import WAN_1_3B
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.shot_generator import ShotGenerator


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """``wan``: frame sizes to measure Wan at. ``autoencoder``: what differs from Wan's own. ``blocks``: of a shot
    that is timed. ``side``: of the large product. ``speedups``: to be switched, None for all that the device has.
    ``settings``: what is changed in :data:`RECIPE`, which is trained."""

    preset: Preset
    wan: tuple[str, ...]
    autoencoder: dict[str, int]
    light_widths: tuple[int, int, int, int]
    embedded: str
    blocks: int
    side: int
    speedups: tuple[str, ...] | None
    settings: tuple[str, ...]


RECIPE = "storyworld/teacher"
# Batches that fill a GPU, and each drawn story shown more often, because sixteen cores draw more slowly than a GPU
# learns.
_TRAINING = (
    "material.stories=512",
    "material.picture_stories=2048",
    "samples.batch=64",
    "picture_batch=256",
    "picture_updates=0",
    "seen=64",
    "loop.compile=false",  # every length is a shape of its own, and compiling them would take the minutes there are
)

LARGE_SIZES = Sizes(
    preset=WAN_1_3B,
    wan=("832x480", "512x288"),
    autoencoder={},
    light_widths=(256, 128, 64, 64),
    embedded=f"{STORYWORLD.geometry.width}x{STORYWORLD.geometry.height}",
    blocks=WAN_1_3B.geometry.max_blocks,
    side=8192,
    speedups=None,
    settings=_TRAINING,
)

TOY_SIZES = Sizes(
    preset=WAN_1_3B.model_copy(
        update={
            "transformer": TransformerConfig(
                in_channels=16, dim=48, ffn_dim=96, heads=2, layers=2, freq_dim=32, text_dim=32
            )
        }
    ),
    wan=("64x48",),
    autoencoder={"base_dim": 4},
    light_widths=(10, 8, 6, 4),
    embedded="64x32",
    blocks=2,
    side=256,
    speedups=("two-steps", "fused-refresh"),
    settings=(
        *_TRAINING,
        "changes.transformer={dim: 48, ffn_dim: 96, heads: 2, layers: 2, caption_padding: hidden}",
        "changes.geometry={width: 64, height: 32}",
        "start=null",
        "material.stories=1",
        "material.held_out_stories=1",
        "material.picture_stories=0",
        "memory_share=0",
        "samples.batch=2",
        "samples.lengths={1: 1}",
        "picture_batch=4",
        "seen=0",
    ),
)


def sizes_for(device: torch.device) -> Sizes:
    """Toys, unless ``device`` is a GPU."""
    return LARGE_SIZES if device.type == "cuda" else TOY_SIZES


class RandomText:
    """Embeddings drawn for each caption by its words. Wan's text encoder is not part of the measurement: it reads a
    prompt once."""

    text_len = TEXT_LEN

    def __init__(self, text_dim: int) -> None:
        self.text_dim = text_dim

    def encode(self, captions: Sequence[str]) -> Tensor:
        drawn = [torch.randn(self.text_len, self.text_dim, generator=stream(0, "caption", one)) for one in captions]
        return torch.stack(drawn)

    def unknown_words(self, text: str) -> list[str]:
        return []

    def lost_words(self, text: str) -> list[str]:
        return []


class LightCodec:
    """The light decoder alone, for where diffusers, which has Wan's autoencoder, is not installed. It encodes
    nothing, so with it only shots without a past can be made."""

    def __init__(self, network: TinyNetwork, geometry: Geometry) -> None:
        self.network, self.geometry = network, geometry

    def decoder(self) -> StreamDecoder:
        return TinyDecoder(self.network)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder().push(latents)

    def encode(self, video: Tensor) -> Tensor:
        raise InputError("the light decoder encodes nothing; install diffusers for Wan's autoencoder")

    def encode_images(self, images: Tensor) -> Tensor:
        return self.encode(images[:, None])[:, 0]


def random_wan(sizes: Sizes, size: str, device: torch.device) -> tuple[ShotGenerator, bool]:
    """Wan at frames of ``size``, and whether it has the whole autoencoder (else the light decoder alone)."""
    preset, dtype = sizes.preset.sized(size), pick_dtype("auto", device)
    codec: WanVideoCodec | LightCodec
    try:
        codec, whole = WanVideoCodec(_random_autoencoder(sizes, device, dtype), preset.geometry), True
    except ModuleNotFoundError:
        codec, whole = LightCodec(_random_light(sizes, preset, device, dtype), preset.geometry), False
    text = RandomText(preset.transformer.text_dim)
    return ShotGenerator(_random_transformer(preset, device, dtype), text, codec, preset), whole


def with_light_decoder(shots: ShotGenerator, sizes: Sizes) -> ShotGenerator:
    """The same transformer and autoencoder, whose latents the light decoder decodes."""
    assert isinstance(shots.codec, WanVideoCodec)
    vae, preset = shots.codec.vae, shots.preset
    network = _random_light(sizes, preset, vae.device, vae.dtype)
    codec = WanVideoCodec(vae, preset.geometry, partial(TinyDecoder, network))
    return ShotGenerator(shots.model, shots.text_encoder.encoder, codec, preset, fuse=shots.fuse)


def packaged(size: str, device: torch.device) -> ShotGenerator:
    """The embedded model at frames of ``size``, without what films need besides."""
    files, dtype = find_model(EMBEDDED, "student"), pick_dtype("auto", device)
    preset = files.preset(read_header(files.transformer).preset).sized(size)
    options = CodecOptions(device=device, dtype=dtype)
    model, _ = load_transformer(files.transformer, device=device, dtype=dtype)
    text, video = files.codecs.open_text(options), files.codecs.open_video(preset.geometry, options)
    return ShotGenerator(model, text, video, preset)


def _random_transformer(preset: Preset, device: torch.device, dtype: torch.dtype) -> Transformer:
    with device:
        model = Transformer(preset.transformer)
        torch.nn.init.normal_(model.head.head.weight, std=0.02)  # its start is silent: every shot would be its noise
    return model.narrow_(dtype).requires_grad_(False).eval().fuse_()


def _random_autoencoder(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> wan_vae.AutoencoderKLWan:
    with device:
        module = wan_vae.build(dict(sizes.autoencoder))
    return module.to(dtype)


def _random_light(sizes: Sizes, preset: Preset, device: torch.device, dtype: torch.dtype) -> TinyNetwork:
    with device:
        network = TinyNetwork(preset.geometry.latent_channels, sizes.light_widths)
    return network.to(dtype).eval().requires_grad_(False)
