"""The block generator of player, server and self-forcing training, with their own samplers, noise and gradients.

Axes: B batch, f frames of one block, C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from shotstream.core.randomness import stream
from shotstream.sampling.solvers import NEVER, GradientPolicy, Sampler

Shape = tuple[int, ...]


class NoiseSource(Protocol):
    """Standard normal noise for every block and step of one shot (of each sample of a batch)."""

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        """[B, *shape] float32 on the CPU, ``shape`` = (f, C, h, w). Step 0 starts block ``block``, step k > 0
        re-noises its k-th clean prediction."""
        ...


class NamedNoise:
    """Noise named by (seed; shot, take, block, purpose): the same take is the same to the bit."""

    def __init__(self, seed: int, *, shot: int, take: int = 0) -> None:
        self.names = (seed, "shot", shot, "take", take)

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        purpose = ("renoise", step) if step else ("start",)
        return torch.randn((1, *shape), generator=stream(*self.names, "block", block, *purpose))


class BatchNoise:
    """One source per sample: frames do not depend on the batch they are made in."""

    def __init__(self, sources: Sequence[NoiseSource]) -> None:
        self.sources = sources

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        return torch.cat([source.draw(block, step, shape) for source in self.sources])


class RecordedNoise:
    """Recorded noise: ``start`` [B, F, C, h, w], ``renoise`` [draws, f, C, h, w] in order of use."""

    def __init__(self, start: Tensor, renoise: Tensor, draws_per_block: int) -> None:
        self.start = start
        self.renoise = renoise
        self.draws_per_block = draws_per_block

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        frames = shape[0]
        if step:
            return self.renoise[block * self.draws_per_block + step - 1][None]
        return self.start[:, block * frames : (block + 1) * frames]


class NoiseAhead:
    """The draws of ``noise``: ``thread`` draws the next block's while this one is made. ``pinned``: into pinned memory,
    from which a GPU copies them while the host goes on."""

    def __init__(self, noise: NoiseSource, thread: ThreadPoolExecutor, *, pinned: bool) -> None:
        self._noise, self._thread, self._pinned = noise, thread, pinned
        self._ahead: dict[tuple[int, int], Future[Tensor]] = {}

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        drawing = self._ahead.pop((block, step), None)
        if (block + 1, step) not in self._ahead:
            self._ahead[block + 1, step] = self._thread.submit(self._draw, block + 1, step, shape)
        found = None if drawing is None else drawing.result()
        return found if found is not None and found.shape[1:] == torch.Size(shape) else self._draw(block, step, shape)

    def _draw(self, block: int, step: int, shape: Shape) -> Tensor:
        drawn = self._noise.draw(block, step, shape)
        return drawn.pin_memory() if self._pinned else drawn


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
