"""How long a film spends in denoising."""

from __future__ import annotations

from time import perf_counter

import torch
from torch import Tensor

from shotstream.sampling.solvers import NEVER, Draw, Flow, GradientPolicy, Sampler


class TimedSampler:
    """A sampler that adds up in ``seconds`` how long it took, waiting for the device to be done."""

    def __init__(self, sampler: Sampler, device: torch.device) -> None:
        self._sampler = sampler
        self._device = device
        self.seconds = 0.0

    def __call__(self, flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER) -> Tensor:
        started = perf_counter()
        clean = self._sampler(flow, draw, gradient)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds += perf_counter() - started
        return clean
