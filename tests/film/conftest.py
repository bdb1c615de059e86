"""A stand-in for the model: pictures that are a pure function of plan and past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import POLICIES, PolicyName
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import full_prompt
from shotstream.families.preset import ConditionCaptions
from shotstream.film.film import Film
from shotstream.film.record.film_record import LoraUse
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, ContextBuilder, FinishedShot
from shotstream.sampling.shot_generator import ShotRequest
from shotstream.sampling.streaming import StreamingShot

GEOMETRY = Geometry(width=64, height=32, spatial=8, latent_channels=4, default_blocks=2)


class PaintEngine:
    """Paints noise named by prompt, noise and condition frames. ``made``: what was asked; ``blocks``: how many came."""

    geometry = GEOMETRY
    model_name = "paint"
    model_version = "1"

    def __init__(self) -> None:
        self.made: list[tuple[ShotRequest, Sequence[FinishedShot]]] = []
        self.blocks = 0
        self.prepared = self.used_prepared = 0
        self.read: list[str] = []  # prompts read ahead
        self.target_captions = False  # condition frames read the caption of the shot to come
        self.loaded: tuple[str, ...] = ()  # LoRA adapters
        self.fail_at: int | None = None  # raise when this many blocks have been painted

    def choose_context(
        self, past: Sequence[FinishedShot], prompt: str, policy: PolicyName | None = None
    ) -> ChosenContext:
        captions: ConditionCaptions = "target" if self.target_captions else "own"
        builder = ContextBuilder(cast(VideoCodec, self), cast(TextEncoder, None), captions=captions)
        return builder.choose(past, prompt, None if policy is None else POLICIES[policy])

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return full_prompt(global_caption, caption)

    def loras(self) -> dict[str, LoraUse]:
        return {name: LoraUse(name=name, weight=0.5, fingerprint="0" * 12) for name in self.loaded}

    def prepare(self, context: ChosenContext) -> StreamingShot:
        self.prepared += 1
        return cast(StreamingShot, context.key)

    def read_ahead(self, prompt: str) -> None:
        self.read.append(prompt)

    def make(self, plan: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None) -> Iterator[Block]:
        past = context.past
        self.made.append((plan, past))
        assert prepared is None or prepared == context.key
        self.used_prepared += prepared is not None
        shown = [
            f"{past[frame.shot].prompt} {past[frame.shot].read_frames([frame.frame]).tobytes().hex()}"
            for frame in context.frames
        ]
        shown.append(str(context.lora))
        index = -1
        while (index := index + 1) < plan.blocks:
            if self.blocks == self.fail_at:
                raise RuntimeError("out of paint")
            self.blocks += 1
            noise = plan.noise.draw(index, 0, (2,)).numpy().tobytes().hex()
            paint = np.random.default_rng(derive(0, plan.prompt, str(plan.blend), noise, *shown))
            length = GEOMETRY.shot_frames(index + 1) - (GEOMETRY.shot_frames(index) if index else 0)
            frames = paint.integers(0, 256, (length, 32, 64, 3), dtype=np.uint8)
            yield Block(index, frames)


@pytest.fixture
def engine() -> PaintEngine:
    return PaintEngine()


@pytest.fixture
def film(engine: PaintEngine) -> Film:
    return Film.new(engine, "A red fox in a forest.", seed=7)
