"""Estimates how much of a device's memory a model takes, before loading it, and suggests what to do if it is too much.

The figures of the work space were counted by running the modules without numbers; the tests of this module
(`tests/checkpoints`) count again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import ceil
from typing import NamedTuple

import torch

from shotstream.checkpoints.model_files import find_model, is_pulled
from shotstream.checkpoints.quantisation import EightBit, keep_in_eight_bits
from shotstream.checkpoints.transformer_weights import read_header
from shotstream.codecs.protocols import Placement
from shotstream.core.config import Config
from shotstream.core.devices import KINDS, free_bytes, pick_device, pick_dtype
from shotstream.core.errors import InputError
from shotstream.families.family import CodecSizes, SizesOf, family_of
from shotstream.families.family import preset as known_preset
from shotstream.families.preset import Preset
from shotstream.models.caches import CachePlace
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

_SLACK = 1.05  # what an allocator loses between blocks
_WIDE = 4  # bytes of a float32
_SMALLER = (0.85, 0.77, 0.62, 0.5, 0.38)  # of width and height: what to suggest where frames are too large


class MemoryPlan(Config):
    """Bytes. ``on_device``: the most at any one time; the parts before it do not all peak together.
    ``in_main_memory``: beside it, of which the text encoder is only mapped there.

    ``text_placement``, ``cache_place``: where the text encoder and the caches live (see
    :class:`shotstream.codecs.umt5.Umt5TextEncoder`, :class:`shotstream.models.caches.HostStorage`).
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
class LoadOptions:
    """What is asked for. ``free``: bytes there are, None if nobody knows; ``teacher``: the bidirectional model."""

    device: torch.device
    dtype: torch.dtype
    free: int | None
    light_decoder: bool = False
    teacher: bool = False
    eight_bit: EightBit | None = None


def plan_memory(preset: Preset, sizes_of: SizesOf, asked: LoadOptions) -> MemoryPlan:
    """The first plan that fits: all on the device; the text encoder streamed; the caches in main memory too.

    Frames are the same in all of them. If none fits, the last; see :func:`refuse_what_does_not_fit`. An Apple GPU has
    no memory of its own, so nothing is won by moving the caches out of it.
    """
    ladder: list[tuple[Placement, CachePlace]] = [("device", "device"), ("streamed", "device"), ("streamed", "host")]
    if asked.device.type == "cpu":
        ladder = [("cpu", "device")]
    elif asked.device.type == "mps":
        ladder = ladder[:2]
    codecs = sizes_of(preset.geometry, asked.dtype, asked.light_decoder)
    for placement, cache_place in ladder:
        plan = MemoryPlan(
            device=str(asked.device),
            width=preset.geometry.width,
            height=preset.geometry.height,
            dtype=str(asked.dtype).removeprefix("torch."),
            text_placement=placement,
            cache_place=cache_place,
            free=asked.free,
            **_parts(preset, codecs, asked, placement, cache_place),
        )
        if plan.fits:
            break
    return plan


def refuse_what_does_not_fit(plan: MemoryPlan, preset: Preset, sizes_of: SizesOf, asked: LoadOptions) -> None:
    """Raise :class:`InputError` if ``plan`` does not fit: how much is missing, and what would fit."""
    if plan.fits or plan.free is None:
        return
    advice = []
    if not asked.light_decoder:
        light = plan_memory(preset, sizes_of, replace(asked, light_decoder=True))
        advice += [f"--light-decoder ({_gb(light.on_device)})"] if light.fits else []
    if asked.dtype.itemsize == _WIDE and asked.device.type != "cpu":
        narrow = plan_memory(preset, sizes_of, replace(asked, dtype=torch.bfloat16))
        advice += [f"--dtype bfloat16 ({_gb(narrow.on_device)})"] if narrow.fits else []
    if asked.eight_bit is None:
        packed = plan_memory(preset, sizes_of, replace(asked, eight_bit="int8"))
        advice += [f"--eight-bit int8 ({_gb(packed.on_device)})"] if packed.fits else []
    for share in _SMALLER:
        geometry = preset.geometry
        cell = geometry.spatial * geometry.patch
        width, height = (max(1, round(share * side / cell)) * cell for side in (geometry.width, geometry.height))
        small = preset.model_copy(update={"geometry": geometry.sized(width, height)})
        found = plan_memory(small, sizes_of, asked)
        if found.fits:
            advice.append(f"--size {width}x{height} ({_gb(found.on_device)})")
            break
    raise InputError(
        f"{plan.width}x{plan.height} in {plan.dtype} needs {_gb(plan.on_device)} on {plan.device}, "
        f"{_gb(plan.free)} are free; {'try ' + ' or '.join(advice) if advice else 'use a device with more memory'}"
    )


def plan_of(
    name: str,
    *,
    device: str,
    dtype: str,
    size: str | None,
    memory: float | None,
    light_decoder: bool,
    eight_bit: EightBit | None = None,
) -> MemoryPlan:
    """What the student of the model ``name`` will take; a published preset need not be pulled for it.

    memory: gigabytes of a device that need not be here (``auto`` is then a CUDA device). Raises :class:`InputError`,
    :class:`WeightsError`.
    """
    chosen, sizes_of = _model(name)
    if memory is None:
        place = pick_device(device)
        free, numbers = free_bytes(place), pick_dtype(dtype, place)
    else:
        place = _imagined(device)
        usual = "bfloat16" if dtype == "auto" and place.type == "cuda" else dtype  # a GPU that is not here is not asked
        free, numbers = int(memory * 1e9), pick_dtype(usual, place)
    asked = LoadOptions(device=place, dtype=numbers, free=free, light_decoder=light_decoder, eight_bit=eight_bit)
    return plan_memory(chosen.sized(size), sizes_of, asked)


def _imagined(name: str) -> torch.device:
    """The device called ``name``, be it here or not."""
    kind = "cuda" if name == "auto" else name.partition(":")[0]
    if kind not in KINDS:
        raise InputError(f"no device is called {name!r}; use auto, cpu, cuda, cuda:1 or mps")
    return torch.device(kind)


def _model(name: str) -> tuple[Preset, SizesOf]:
    family = family_of(name)
    published = family.codecs.published_sizes if family is not None else None
    if published is not None and not is_pulled(name):
        return known_preset(name), published
    files = find_model(name, "student")
    if files.codecs.sizes is None:
        raise InputError(f"{name}: has codecs small enough for any device; plans are for large ones, such as Wan's")
    return files.preset(read_header(files.transformer).preset), files.codecs.sizes


def _parts(
    preset: Preset, codecs: CodecSizes, asked: LoadOptions, placement: Placement, cache_place: CachePlace
) -> dict[str, int]:
    """All byte counts of a plan."""
    geometry, network, item = preset.geometry, preset.transformer, asked.dtype.itemsize
    batch = 1 if (preset.teacher if asked.teacher else preset.student).guidance == 1 else 2
    seen = geometry.context_frames + geometry.max_blocks * geometry.block_frames
    frame_in_a_layer = 2 * geometry.tokens_per_frame * network.dim * item * batch  # keys and values
    caches = 0 if asked.teacher else frame_in_a_layer * seen * network.layers
    caption = 2 * codecs.text_len * network.dim * item * network.layers * batch
    kept = (geometry.context_frames + 2) * caption  # prompts at hand, see sampling/shot_generator
    joined = geometry.context_frames * caption  # those of the context side by side, for its pass
    activations = batch * _activations(preset, codecs.text_len, item, seen, teacher=asked.teacher)
    weights = _weights(preset, asked)
    activations += _eight_bit_work(preset, asked, batch)
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


def _eight_bit_work(preset: Preset, asked: LoadOptions, batch: int) -> int:
    """Beside what is held: the matrix at work, widened; or the tokens that are to be multiplied in fp8, in float32,
    then scaled, then in fp8."""
    geometry, network = preset.geometry, preset.transformer
    if asked.eight_bit == "fp8-matmuls":
        tokens = max(geometry.context_frames, 2 * geometry.block_frames) * geometry.tokens_per_frame
        return batch * tokens * network.ffn_dim * (2 * _WIDE + 1)
    return asked.dtype.itemsize * network.dim * network.ffn_dim if asked.eight_bit else 0


def _weights(preset: Preset, asked: LoadOptions) -> int:
    held = _held(preset.transformer, asked.eight_bit)
    return held.matmuls * asked.dtype.itemsize + held.eight_bit + held.others * _WIDE


class _Numbers(NamedTuple):
    """How many numbers the matmuls hold, those of eight bits apart, and how many all else."""

    matmuls: int
    eight_bit: int
    others: int


@lru_cache(maxsize=4)
def _held(config: TransformerConfig, form: EightBit | None) -> _Numbers:
    with torch.device("meta"):
        network = Transformer(config)
        names = network.matmul_names()
        if form is not None:
            keep_in_eight_bits(network, form)
    counted = [0, 0, 0]
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        counted[0 if name in names else 1 if tensor.itemsize == 1 else 2] += tensor.numel()
    return _Numbers(*counted)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
