"""Parts that leave one speed-up out, each for the part that has it."""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.models.caches import KeyValueMemory, Storage
from shotstream.sampling.streaming import StreamingShot
from shotstream.tools.bench.naive import CloningMemory


class ClonedCaches(StreamingShot):
    """Every write of keys and values copies a layer's whole cache."""

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        return CloningMemory(self.allocate(KeyValueMemory, latents, max_frames))


class GappedCaches(StreamingShot):
    """Keys and values stay where they are written, with room for later ones between the heads."""

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        return self.allocate(KeyValueMemory, latents, max_frames)


class AnglesInEveryPass(StreamingShot):
    """Rotary angles are worked out in every pass."""

    def turn_at(self, frame: int, frames: int) -> Tensor:
        return self.turn_of(frame, frames)


class EveryBlockRemembered(StreamingShot):
    """A block is remembered as soon as it is finished, by a pass of its own, though no other may follow."""

    @torch.no_grad()
    def finish(self, clean: Tensor) -> None:
        super().finish(clean)
        self.remember()
