"""What the work on one block consists of, by kind of operation, as PyTorch's profiler sees it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from torch.autograd.profiler import profile

from shotstream.film.director import Director
from shotstream.sampling.director import ShotPlan
from shotstream.sampling.noise import NamedNoise
from shotstream.tools.bench.script import GLOBAL_CAPTION, captions

# Kinds by what an operation's name contains; the first that fits.
KINDS = (
    ("convolutions", ("conv",)),
    ("attention softmax", ("softmax", "scaled_dot_product")),
    ("matrix products", ("mm", "matmul", "linear")),
    ("norms", ("norm",)),
    ("activations", ("gelu", "silu")),
    ("copies and casts", ("copy", "cat", "clone", "to", "contiguous", "index", "fill", "empty", "zeros")),
)
OTHER, BETWEEN = "other arithmetic", "between operations"


def operations_of_a_block(director: Director) -> dict[str, float]:
    """Seconds by kind for the second block of a shot: its passes, and its decoding. Profiling costs some of them."""
    plan = ShotPlan(prompt=f"{GLOBAL_CAPTION} {captions(1)[0]}", blocks=2, noise=NamedNoise(0, shot=1))
    blocks = director.make(plan, [_Black(director)])
    next(blocks)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler talks about itself on standard error
    with profile(use_kineto=False) as profiler:
        started = perf_counter()
        next(blocks)
        whole = perf_counter() - started
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = kind_of(event.key)
        seconds[kind] = seconds.get(kind, 0.0) + event.self_cpu_time_total / 1e6
    seconds[BETWEEN] = max(0.0, whole - sum(seconds.values()))
    return dict(sorted(seconds.items(), key=lambda one: -one[1]))


def kind_of(operation: str) -> str:
    """The kind of the operation with this name."""
    name = operation.rpartition("::")[2]
    return next((kind for kind, parts in KINDS if any(part in name for part in parts)), OTHER)


class _Black:
    """A past shot that shows nothing; see :class:`shotstream.sampling.context.FinishedShot`."""

    index, prompt, key = 0, "-", "black"

    def __init__(self, director: Director) -> None:
        self.frame_count = director.geometry.shot_frames(1)
        self._size = (director.geometry.height, director.geometry.width, 3)

    def pictures(self, frames: Sequence[int]) -> np.ndarray:
        return np.zeros((len(frames), *self._size), dtype=np.uint8)
