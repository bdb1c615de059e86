"""Upper bounds: of ``wan-1.3b`` on a GPU, calculated (frames per second, memory); of this machine's matmuls, measured.

Calculated per block of a longest shot: every denoising step and one refresh, each over the condition frames and all
blocks so far (as the reference runs it; the context pass we add about outweighs the last refresh we leave out).
Text encoder and video codec come on top.

Measured with one large matmul, and with the model's own matmuls alone.
Axes: T tokens of a block, K keys, W caption tokens, C width, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from shotstream.core.config import Config
from shotstream.core.devices import wait_for
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset
from shotstream.families.wan import WAN_1_3B
from shotstream.models.config import TransformerConfig, forward_flops, key_value_bytes
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
    expectations: tuple[Expectation, ...]


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
    passes = preset.student.passes + 1
    return sum(passes * block_flops(preset, block, CAPTION_TOKENS) for block in range(preset.geometry.max_blocks))


def block_flops(preset: Preset, block: int, caption_tokens: int) -> float:
    """Of one pass over a shot's ``block``, counted from 0, which sees the condition frames and all blocks so far."""
    geometry = preset.geometry
    tokens = geometry.block_frames * geometry.tokens_per_frame
    seen = geometry.context_frames * geometry.tokens_per_frame + (block + 1) * tokens
    return forward_flops(preset.transformer, tokens, seen, caption_tokens)


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
        expectations=expectations(preset, flops, per_frame),
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


class Expectation(Config):
    """With this measure and those above it: frames per second while denoising. ``share``: of the peak."""

    measure: str
    share: float
    fps: float
    why: str


# (measure, share of the peak it was seen to reach, evidence)
_SHARES = (
    (
        "as the reference runs it",
        0.25,
        "the paper: 16 frames/s on an H100, decoding included",
    ),
    (
        "compiled layers, caches written in place (`compile`)",
        0.35,
        "Self-Forcing's code compiled: 8.9 s a clip becomes 6.0 s",
    ),
    (
        "no launches, no waiting for the host (`cuda-graphs`, `noise-ahead`)",
        0.44,
        "FlashDreams: 12 frames in 344 ms and 74 for their refresh; compiled engines without it 432 to 511 ms",
    ),
    (
        "attention at 650 TFLOP/s (FlashAttention 3, `--attention fa3`)",
        0.6,
        "a Wan clip on an H100: 182 s becomes 115 s; no streaming engine has shown 60%",
    ),
)


def expectations(preset: Preset, flops: float, flops_per_frame: float) -> tuple[Expectation, ...]:
    """For a GPU of so many ``flops`` a second, frames of ``flops_per_frame``. What fewer passes bring is calculated at
    the highest share of the peak that a streaming engine has shown."""
    found = [
        Expectation(measure=measure, share=share, fps=share * flops / flops_per_frame, why=why)
        for measure, share, why in _SHARES
    ]
    best = found[2]
    steps = preset.student.passes
    passes = steps + 1  # and the refresh
    for measure, left, why in (
        ("no refresh pass (`refresh=False`)", steps, f"{steps} passes a block, not {passes}; other frames"),
        (
            "two steps (`--steps 2`)",
            3,
            f"3 passes a block, not {passes}; others saw 1.4x to 1.5x; other frames",
        ),
    ):
        fps = best.fps * passes / left
        found.append(Expectation(measure=measure, share=best.share, fps=fps, why=why))
    slower = best.fps * 0.87
    why = f"others saw 0.87x to 1.2x, so {slower:.1f} to {best.fps * 1.2:.1f} frames/s; to be measured"
    found.append(Expectation(measure="FP8 matmuls (`--eight-bit fp8-matmuls`)", share=best.share, fps=slower, why=why))
    return tuple(found)


LARGE, SMALLER = 4096, 1024  # side of the square matmul; the smaller one when there is little time
Work = Callable[[], object]


def matmul_ceiling(device: torch.device, dtype: torch.dtype, side: int, repeats: int = 5) -> float:
    """FLOP/s of the best of some square matmuls of that side."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: a @ b, device, repeats)


@dataclass(frozen=True, slots=True)
class OwnMatmuls:
    """The matmuls of one denoising pass over a block in the middle of a shot, without anything between them."""

    linear: tuple[tuple[Tensor, Tensor, Tensor], ...]  # input [T, in], weight [out, in], bias [out], layer by layer
    attention: tuple[tuple[Tensor, Tensor], ...]  # left and right of each batched matmul, likewise

    @classmethod
    def of(
        cls, config: TransformerConfig, geometry: Geometry, text_len: int, dtype: torch.dtype, device: torch.device
    ) -> OwnMatmuls:
        """Random numbers of the right shapes; every layer has weights of its own."""
        tokens = geometry.block_frames * geometry.tokens_per_frame
        blocks = (geometry.default_blocks + 1) / 2  # seen by the mean block, itself included
        keys = geometry.context_frames * geometry.tokens_per_frame + round(blocks * tokens)
        sides = [(config.dim, config.dim)] * 6 + [(config.dim, config.ffn_dim), (config.ffn_dim, config.dim)]

        def make(*shape: int) -> Tensor:
            return torch.randn(shape, device=device, dtype=dtype)

        linear = tuple((make(tokens, a), make(b, a), make(b)) for _ in range(config.layers) for a, b in sides)
        heads, width = config.heads, config.head_dim
        attention = tuple(
            pair
            for _ in range(config.layers)
            for seen in (keys, text_len)
            for pair in (
                (make(heads, tokens, width), make(heads, width, seen)),
                (make(heads, tokens, seen), make(heads, seen, width)),
            )
        )
        return cls(linear, attention)

    @property
    def flops(self) -> float:
        lines = sum(2 * x.shape[0] * weight.numel() for x, weight, _ in self.linear)
        return lines + sum(2 * left.numel() * right.shape[2] for left, right in self.attention)

    def run(self) -> None:
        """All of them, one after the other."""
        for x, weight, bias in self.linear:
            F.linear(x, weight, bias)
        for left, right in self.attention:
            torch.bmm(left, right)

    def ceiling(self, device: torch.device, repeats: int = 30) -> float:
        """FLOP/s of the best of some runs."""
        return self.flops / _best(self.run, device, repeats)


@torch.no_grad()
def _best(work: Work, device: torch.device, repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` runs, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        started = perf_counter()
        work()
        wait_for(device)
        times.append(perf_counter() - started)
    return min(times[1:])
