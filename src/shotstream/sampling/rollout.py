"""The block generator of player, server and self-forcing training, with their own samplers, noise and gradients.

Axes: B batch, f frames of one block, C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from shotstream.sampling.noise import NoiseSource
from shotstream.sampling.solvers import NEVER, GradientPolicy, Sampler


class ShotFlow(Protocol):
    """A shot the model is making: see :class:`shotstream.sampling.streaming.StreamingShot`."""

    def flow(self, x: Tensor, timestep: float) -> Tensor: ...

    def finish(self, clean: Tensor) -> None: ...


def rollout(
    shot: ShotFlow,
    sampler: Sampler,
    noise: NoiseSource,
    *,
    blocks: int | Callable[[int], bool],
    block_shape: tuple[int, int, int, int],
    device: torch.device | None = None,
    gradient: GradientPolicy = NEVER,
) -> Iterator[Tensor]:
    """Yield each block's clean latents [B, f, C, h, w] as soon as it is done; ``block_shape`` is (f, C, h, w).

    ``blocks``: how many, or a function asked before every block ("is there a block with this index?"), so that a shot
    can be cut or extended while it runs. Nothing is computed before it is asked for: stop iterating, and the shot ends
    there, without a refresh pass for its last block.
    """
    index = 0
    while blocks(index) if callable(blocks) else index < blocks:

        def draw(step: int, block: int = index) -> Tensor:
            return noise.draw(block, step, block_shape).to(device, non_blocking=True)

        clean = sampler(shot.flow, draw, gradient)
        shot.finish(clean)
        yield clean
        index += 1
