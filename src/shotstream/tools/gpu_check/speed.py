"""Speed in the GPU check: end to end, denoising alone, first frame; with and without each speed-up; and its models.

Models are Wan with random weights of the published sizes, and the packaged one: full sizes for a GPU, toy ones that
show on a CPU that everything runs. End to end is from a caption to frames in main memory; writing an MP4 is not part of
it.

Axes: B batch, N images, F latent frames, C channels, W caption tokens, D their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from shotstream.checkpoints.model_files import EMBEDDED, find_model
from shotstream.checkpoints.transformer_weights import load_transformer, read_header
from shotstream.codecs import wan_vae
from shotstream.codecs.protocols import StreamDecoder
from shotstream.codecs.tiny_decoder import TinyDecoder, TinyNetwork
from shotstream.codecs.umt5 import TEXT_LEN
from shotstream.codecs.wan_vae import WanVideoCodec
from shotstream.core.config import Config
from shotstream.core.devices import pick_dtype, wait_for
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import stream
from shotstream.families.family import CodecOptions
from shotstream.families.preset import Preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.families.wan import WAN_1_3B
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import BlankShot, ChosenContext
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.tools.bench.roofline import GPUS, block_flops
from shotstream.tools.bench.setups import GLOBAL_CAPTION, SPEEDUPS, captions, setup_of
from shotstream.tools.gpu_check.run import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """``wan``: frame sizes to measure Wan at. ``autoencoder``: what differs from Wan's own. ``blocks``: of a shot
    that is timed. ``side``: of the large matmul. ``speedups``: to be switched, None for all that the device has.
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


LONGEST_FAULT = 200  # characters
# What only films have, or what takes minutes to settle, is left to `shotstream bench`.
LEFT_OUT = ("bf16", "overlap-encode", "context-ahead", "text-ahead", "light-decoder", "window-2", "three-steps")


class ShotSpeed(Config):
    """One setup. Frames and operations per second, seconds, bytes. ``first_frame``: from the caption of a shot whose
    context is prepared. ``share_of_product``: of the speed of one large matmul; ``share_of_peak``: of the maker's."""

    width: int
    height: int
    blocks: int
    frames: int
    end_to_end_fps: float
    denoise_fps: float
    first_frame: float
    context: float
    flops: float
    share_of_product: float
    share_of_peak: float | None


class SpeedTest:
    """Shots of ``blocks`` blocks on ``device``, whose large matmul makes ``ceiling`` operations a second. past:
    are there earlier shots to encode condition frames of?"""

    def __init__(self, device: torch.device, ceiling: float, *, blocks: int, past: bool) -> None:
        self.device, self.ceiling, self.blocks, self._past = device, ceiling, blocks, past
        self._made = 0

    @torch.no_grad()
    def speed(self, shots: ShotGenerator) -> ShotSpeed:
        """Of one shot end to end and of one that is only denoised, behind one to warm up."""
        self._end_to_end(shots)
        whole, first, context = self._end_to_end(shots)
        denoising = self._denoising(shots)
        geometry = shots.preset.geometry
        frames = geometry.shot_frames(self.blocks)
        flops = denoising_flops(shots.preset, self.blocks, shots.text_encoder.text_len) / denoising
        peak = peak_of(self.device)
        return ShotSpeed(
            width=geometry.width,
            height=geometry.height,
            blocks=self.blocks,
            frames=frames,
            end_to_end_fps=frames / whole,
            denoise_fps=frames / denoising,
            first_frame=first,
            context=context,
            flops=flops,
            share_of_product=flops / self.ceiling,
            share_of_peak=None if peak is None else flops / peak,
        )

    def _end_to_end(self, shots: ShotGenerator) -> tuple[float, float, float]:
        """Seconds of a whole shot, to its first frame, and of its context."""
        context, request = self._next(shots)
        seen: list[float] = []
        began = self._now()
        prepared = shots.prepare(context)
        ready = self._now()
        request.on_first = lambda frame: seen.append(perf_counter())
        for _ in shots.shot(request, context, prepared):
            seen.append(perf_counter())
        return self._now() - began, seen[0] - ready, ready - began

    def _denoising(self, shots: ShotGenerator) -> float:
        context, request = self._next(shots)
        prepared = shots.prepare(context)
        began = self._now()
        for _ in shots.latents(request, prepared):
            pass
        return self._now() - began

    def _next(self, shots: ShotGenerator) -> tuple[ChosenContext, ShotRequest]:
        """Another caption after another shot, so that nothing is known already."""
        self._made += 1
        caption = captions(self._made)[-1]
        prompt = shots.preset.prompt(GLOBAL_CAPTION, caption, self._made)
        past = [BlankShot(shots.preset.geometry, str(self._made))] if self._past else []
        return shots.context.choose(past, prompt), ShotRequest(
            prompt=prompt, blocks=self.blocks, noise=NamedNoise(1, shot=self._made)
        )

    def _now(self) -> float:
        wait_for(self.device)
        return perf_counter()


def denoising_flops(preset: Preset, blocks: int, caption_tokens: int) -> float:
    """Operations of the passes over a shot's blocks: its steps, and refreshes of all blocks but the last."""
    settings = preset.student
    return sum(
        (settings.passes + (settings.refresh and block < blocks - 1)) * block_flops(preset, block, caption_tokens)
        for block in range(blocks)
    )


def peak_of(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second, as the maker states them; None for what is not in the table."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device).replace(" ", "").upper()
    return next((flops for known, (flops, _) in GPUS.items() if known in name), None)


def measure_all(test: SpeedTest, shots: ShotGenerator, ledger: Ledger, names: Sequence[str], **told: Any) -> None:
    """The speed as it ships, then with each speed-up switched, as long as there is time; into ``ledger``."""
    ledger.tell(**told, setup="as shipped", **test.speed(setup_of(()).over(shots)).model_dump())
    for name in names:
        began = perf_counter()
        speedup = SPEEDUPS[name]
        setup = f"{'without' if speedup.ships_on else 'with'} {name}"
        try:
            switched = setup_of((*speedup.beside, name)).over(shots)
            ledger.tell(**told, setup=setup, beside=speedup.beside, **test.speed(switched).model_dump())
        except Exception as fault:  # noqa: BLE001  one speed-up that fails on a machine must not hide the others
            ledger.tell(**told, setup=setup, failed=one_line(fault))
        if ledger.left < 2 * (perf_counter() - began):
            return


def speedups_on(device: torch.device) -> list[str]:
    """Names of the speed-ups of shots to be measured on ``device``: first those that only a GPU has, then others that
    are off as shipped."""
    names = [
        name for name, one in SPEEDUPS.items() if name not in LEFT_OUT and (device.type != "cpu" or not one.gpu_only)
    ]
    return sorted(names, key=lambda name: (not SPEEDUPS[name].gpu_only, SPEEDUPS[name].ships_on))


def one_line(fault: BaseException) -> str:
    """What went wrong, in one line."""
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:LONGEST_FAULT]}"
