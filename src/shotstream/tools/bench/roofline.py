"""What a GPU could do at most with ``wan-1.3b``: frames per second and memory, calculated, not measured.

Counted per block of a longest shot: every denoising step and one refresh, each over the condition frames and all
blocks so far (as the reference runs it; the context pass we add about outweighs the last refresh we leave out).
Text encoder and video codec come on top.
"""

from __future__ import annotations

from functools import cache

import torch

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.models.config import TransformerConfig
from shotstream.models.flops import forward_flops, key_value_bytes
from shotstream.models.presets import WAN_1_3B, Preset
from shotstream.models.transformer import Transformer

TERA, GIGA = 1e12, 1e9
# Dense bf16 FLOP/s and memory as the makers state them.
GPUS = {
    "H100": (989 * TERA, 80 * GIGA),
    "H200": (989 * TERA, 141 * GIGA),
    "B200": (2250 * TERA, 180 * GIGA),
    "A100": (312 * TERA, 80 * GIGA),
    "RTX5090": (210 * TERA, 32 * GIGA),
    "RTX4090": (165 * TERA, 24 * GIGA),
}
UTILISATIONS = (1.0, 0.6, 0.4)
SIZES = ((832, 480), (512, 288))
CAPTION_TOKENS = 512  # of UMT5, as Wan pads them
BF16 = 2  # bytes


class Roof(Config):
    """One picture size. ``fps``: frames per second at a utilisation, such as "60%"."""

    width: int
    height: int
    tokens_per_frame: int
    flops_per_frame: float
    fps: dict[str, float]
    weight_bytes: int
    cache_bytes: int
    caption_bytes: int
    memory_bytes: int
    fits: bool


class Plan(Config):
    """What to expect of one GPU."""

    gpu: str
    preset: str
    flops: float
    gpu_memory_bytes: int
    sizes: tuple[Roof, ...]


def plan(gpu: str) -> Plan:
    """The calculated roofline of ``gpu``, however it is spelt. Raises :class:`InputError` for one not in the table."""
    known = {_plain(name): name for name in GPUS}
    if _plain(gpu) not in known:
        raise InputError(f"--plan {gpu}: no figures for this GPU; known: {', '.join(GPUS)}")
    name = known[_plain(gpu)]
    flops, memory = GPUS[name]
    sizes = tuple(_roof(_resized(WAN_1_3B, *size), flops, memory) for size in SIZES)
    return Plan(gpu=name, preset=WAN_1_3B.name, flops=flops, gpu_memory_bytes=int(memory), sizes=sizes)


def shot_flops(preset: Preset) -> float:
    """Of a longest shot: steps and a refresh of every block."""
    geometry, config = preset.geometry, preset.transformer
    tokens = geometry.block_frames * geometry.tokens_per_frame
    context = geometry.context_frames * geometry.tokens_per_frame
    passes = len(preset.student.listed) + 1
    return sum(
        passes * forward_flops(config, tokens, context + (block + 1) * tokens, CAPTION_TOKENS)
        for block in range(geometry.max_blocks)
    )


def _roof(preset: Preset, flops: float, gpu_memory: float) -> Roof:
    geometry, config = preset.geometry, preset.transformer
    per_frame = shot_flops(preset) / geometry.shot_frames(geometry.max_blocks)
    frames = geometry.context_frames + geometry.max_blocks * geometry.block_frames
    weights = BF16 * _parameters(config)
    cache = key_value_bytes(config, frames * geometry.tokens_per_frame, BF16)
    captions = key_value_bytes(config, (geometry.context_frames + 1) * CAPTION_TOKENS, BF16)
    memory = weights + cache + captions
    return Roof(
        width=geometry.width,
        height=geometry.height,
        tokens_per_frame=geometry.tokens_per_frame,
        flops_per_frame=per_frame,
        fps={f"{share:.0%}": share * flops / per_frame for share in UTILISATIONS},
        weight_bytes=weights,
        cache_bytes=cache,
        caption_bytes=captions,
        memory_bytes=memory,
        fits=memory <= gpu_memory,
    )


@cache
def _parameters(config: TransformerConfig) -> int:
    """Of a transformer of these sizes, none of them allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Transformer(config).parameters())


def _resized(preset: Preset, width: int, height: int) -> Preset:
    sizes = preset.geometry.model_dump() | {"width": width, "height": height}
    return preset.model_copy(update={"geometry": Geometry(**sizes)})


def _plain(name: str) -> str:
    return "".join(letter for letter in name.upper() if letter.isalnum())
