"""What a model will take of a device's memory, worked out before anything is loaded, and what to do if it is too much.

The figures of the work space were counted by running the modules without numbers; ``tests/tools/test_memory_plan.py``
counts again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

import torch

from shotstream.codecs.umt5 import Placement
from shotstream.codecs.wan_folder import CodecSizes
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.models.caches import CachePlace
from shotstream.models.config import TransformerConfig
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer

_SLACK = 1.05  # what an allocator loses between blocks
_WIDE = 4  # bytes of a float32
_SMALLER = (0.85, 0.77, 0.62, 0.5, 0.38)  # of width and height: what to try where the picture is too large

# What the codecs hold for pictures of a geometry, in a number format, with or without the light decoder.
SizesOf = Callable[[Geometry, torch.dtype, bool], CodecSizes]


class MemoryPlan(Config):
    """Bytes. ``on_device``: the most at any one time; the parts before it do not all peak together.
    ``in_main_memory``: beside it, of which the text encoder is only mapped there.

    ``text_placement``, ``cache_place``: where the text encoder and the caches live (see
    :class:`shotstream.codecs.umt5.Umt5TextEncoder`, :class:`shotstream.models.caches.HostMemory`).
    """

    device: str
    width: int
    height: int
    dtype: str
    weights: int
    caches: int
    captions: int
    activations: int
    video_codec: int
    text_encoder: int
    text_placement: Placement
    cache_place: CachePlace
    on_device: int
    in_main_memory: int
    free: int | None

    @property
    def fits(self) -> bool:
        return self.free is None or self.on_device <= self.free

    def lines(self) -> list[str]:
        """For a person, before loading begins."""
        free = "free memory unknown" if self.free is None else f"{_gb(self.free)} free"
        caches = "" if self.cache_place == "device" else " (in main memory)"
        places = {
            "device": "on the device",
            "streamed": "in main memory, layer by layer through the device, and only for new prompts",
            "cpu": "in main memory, and only for new prompts",
        }
        return [
            f"memory: at most {_gb(self.on_device)} on {self.device} ({free}), "
            f"{self.width}x{self.height} in {self.dtype}",
            f"  weights {_gb(self.weights)}, caches {_gb(self.caches)}{caches}, captions {_gb(self.captions)}, "
            f"activations {_gb(self.activations)}, video codec {_gb(self.video_codec)}",
            f"  text encoder {_gb(self.text_encoder)} {places[self.text_placement]}",
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What is asked for. ``free``: bytes there are, None if nobody knows; ``teacher``: the bidirectional model."""

    device: torch.device
    dtype: torch.dtype
    free: int | None
    light_decoder: bool = False
    teacher: bool = False


def plan_memory(preset: Preset, sizes_of: SizesOf, wishes: Wishes) -> MemoryPlan:
    """The first plan that fits: all on the device; the text encoder streamed; the caches in main memory too.

    The pictures are the same in all of them. If none fits, the last; see :func:`refuse_what_does_not_fit`.
    """
    ladder: list[tuple[Placement, CachePlace]] = [("device", "device"), ("streamed", "device"), ("streamed", "host")]
    if wishes.device.type == "cpu":
        ladder = [("cpu", "device")]
    codecs = sizes_of(preset.geometry, wishes.dtype, wishes.light_decoder)
    for placement, cache_place in ladder:
        plan = MemoryPlan(
            device=str(wishes.device),
            width=preset.geometry.width,
            height=preset.geometry.height,
            dtype=str(wishes.dtype).removeprefix("torch."),
            text_placement=placement,
            cache_place=cache_place,
            free=wishes.free,
            **_parts(preset, codecs, wishes, placement, cache_place),
        )
        if plan.fits:
            break
    return plan


def refuse_what_does_not_fit(plan: MemoryPlan, preset: Preset, sizes_of: SizesOf, wishes: Wishes) -> None:
    """Raise :class:`InputError` if ``plan`` does not fit: what is lacking, and what smaller wish would do."""
    if plan.fits or plan.free is None:
        return
    advice = []
    if not wishes.light_decoder:
        light = plan_memory(preset, sizes_of, replace(wishes, light_decoder=True))
        advice += [f"--light-decoder ({_gb(light.on_device)})"] if light.fits else []
    for share in _SMALLER:
        geometry = preset.geometry
        cell = geometry.spatial * geometry.patch
        width, height = (max(1, round(share * side / cell)) * cell for side in (geometry.width, geometry.height))
        small = preset.model_copy(update={"geometry": geometry.sized(width, height)})
        found = plan_memory(small, sizes_of, wishes)
        if found.fits:
            advice.append(f"--size {width}x{height} ({_gb(found.on_device)})")
            break
    raise InputError(
        f"{plan.width}x{plan.height} in {plan.dtype} needs {_gb(plan.on_device)} on {plan.device}, "
        f"{_gb(plan.free)} are free; {'try ' + ' or '.join(advice) if advice else 'use a device with more memory'}"
    )


def _parts(
    preset: Preset, codecs: CodecSizes, wishes: Wishes, placement: Placement, cache_place: CachePlace
) -> dict[str, int]:
    """All byte counts of a plan."""
    geometry, network, item = preset.geometry, preset.transformer, wishes.dtype.itemsize
    batch = 1 if (preset.teacher if wishes.teacher else preset.student).guidance == 1 else 2
    seen = geometry.context_frames + geometry.max_blocks * geometry.block_frames
    frame_in_a_layer = 2 * geometry.tokens_per_frame * network.dim * item * batch  # keys and values
    caches = 0 if wishes.teacher else frame_in_a_layer * seen * network.layers
    caption = 2 * codecs.text_len * network.dim * item * network.layers * batch
    kept = (geometry.context_frames + 2) * caption  # prompts at hand, see sampling/director
    joined = geometry.context_frames * caption  # those of the context side by side, for its pass
    activations = batch * _activations(preset, codecs.text_len, item, seen, teacher=wishes.teacher)
    weights = _weights(preset, wishes.dtype)
    resident = weights + codecs.video + kept
    resident += codecs.text if placement == "device" else 0  # elsewhere it is mapped: read from disk as it is used
    if cache_place == "device":
        resident += caches
    else:
        activations += 2 * seen * frame_in_a_layer  # one layer's share: fetched, and joined with its own
    reading = codecs.text_layer if placement == "streamed" else 0
    busiest = max(codecs.video_work, codecs.video_carried + max(joined + activations, reading))
    return {
        "weights": weights,
        "caches": caches,
        "captions": kept + joined,
        "activations": activations,
        "video_codec": codecs.video + codecs.video_work,
        "text_encoder": codecs.text,
        "on_device": ceil(_SLACK * (resident + busiest)),
        "in_main_memory": (codecs.text if placement != "device" else 0) + (caches if cache_place == "host" else 0),
    }


def _activations(preset: Preset, text_len: int, item: int, seen: int, *, teacher: bool) -> int:
    """A layer's busiest moment (rotating queries and keys in float32, or the feed-forward's two halves), the captions
    of the condition frames as that layer reads them, and the rotations of all ``seen`` frames. For one sample."""
    geometry, network = preset.geometry, preset.transformer
    at_once = seen if teacher else max(geometry.context_frames, 2 * geometry.block_frames)
    rotating = 9 * _WIDE * network.dim
    feeding = 4 * _WIDE * network.dim + 2 * item * network.ffn_dim
    layer = at_once * geometry.tokens_per_frame * max(rotating, feeding)
    captions = 2 * geometry.context_frames * text_len * network.dim * item
    return layer + captions + seen * geometry.tokens_per_frame * network.head_dim * _WIDE


def _weights(preset: Preset, dtype: torch.dtype) -> int:
    products, others = _numbers(preset.transformer)
    return products * dtype.itemsize + others * _WIDE


@lru_cache(maxsize=4)
def _numbers(config: TransformerConfig) -> tuple[int, int]:
    """How many numbers the matrix products hold, and how many all else."""
    with torch.device("meta"):
        network = Transformer(config)
    products = network.product_names()
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    narrow = sum(count for name, count in counts.items() if name in products)
    return narrow, sum(counts.values()) - narrow


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
