"""Sizes of the GPU check: full ones for a GPU, toy ones that show on a CPU that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from shotstream.families.preset import Preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.families.wan import WAN_1_3B
from shotstream.models.config import TransformerConfig


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
