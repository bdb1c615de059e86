"""A stand-in for the model: pictures that are a pure function of plan and past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest
import torch

from shotstream.core.context_budget import ContextFrame, PastShot, dynamic_sampling
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.film.film import Film
from shotstream.sampling.context import FinishedShot
from shotstream.sampling.director import Block, ShotPlan
from shotstream.sampling.streaming import StreamingShot

GEOMETRY = Geometry(width=64, height=32, spatial=8, latent_channels=4, default_blocks=2)


class PaintEngine:
    """Paints noise named by prompt, noise and condition frames. ``made``: what was asked; ``blocks``: how many came."""

    geometry = GEOMETRY
    model_name = "paint"
    model_version = "1"

    def __init__(self) -> None:
        self.made: list[tuple[ShotPlan, Sequence[FinishedShot]]] = []
        self.blocks = 0
        self.prepared = self.used_prepared = 0
        self.read: list[str] = []  # prompts read ahead
        self.target_captions = False  # condition frames read the caption of the shot to come
        self.fail_at: int | None = None  # raise when this many blocks have been painted

    def remembers(self, past: Sequence[FinishedShot], prompt: str) -> tuple[ContextFrame, ...]:
        known = [PastShot(shot.frame_count, shot.prompt) for shot in past]
        return dynamic_sampling(known, GEOMETRY.context_frames, prompt)

    def caption_in_memory(self, prompt: str) -> str:
        return prompt if self.target_captions else ""

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        self.prepared += 1
        return cast(StreamingShot, [shot.index for shot in past])

    def read_ahead(self, prompt: str) -> None:
        self.read.append(prompt)

    def make(
        self, plan: ShotPlan, past: Sequence[FinishedShot], prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        self.made.append((plan, past))
        assert prepared is None or prepared == [shot.index for shot in past]
        self.used_prepared += prepared is not None
        shown = [
            f"{past[frame.shot].prompt} {past[frame.shot].pictures([frame.frame]).tobytes().hex()}"
            for frame in self.remembers(past, plan.prompt)
        ]
        index = -1
        while (index := index + 1) < plan.blocks:
            if self.blocks == self.fail_at:
                raise RuntimeError("out of paint")
            self.blocks += 1
            noise = plan.noise.draw(index, 0, (2,)).numpy().tobytes().hex()
            paint = np.random.default_rng(derive(0, plan.prompt, noise, *shown))
            length = GEOMETRY.shot_frames(index + 1) - (GEOMETRY.shot_frames(index) if index else 0)
            frames = paint.integers(0, 256, (length, 32, 64, 3), dtype=np.uint8)
            yield Block(index=index, frames=frames, latents=torch.zeros(0))


@pytest.fixture
def engine() -> PaintEngine:
    return PaintEngine()


@pytest.fixture
def film(engine: PaintEngine) -> Film:
    return Film.new(engine, "A red fox in a forest.", seed=7)
