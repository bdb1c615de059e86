"""Drift is nothing where a shot stays as it began, and seen where it fades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import full_prompt
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import WorldStory
from shotstream.evaluation.judge import Recognisers
from shotstream.evaluation.long_shot import score_long_shots
from shotstream.evaluation.suites import read_suite
from shotstream.families.storyworld import STORYWORLD
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot
from shotstream.sampling.shot_generator import ShotRequest


class LastingWorld:
    """Shows the beginning of a story's first shot over and over; with ``fading``, paler and paler."""

    model_version = "world-1"
    device = torch.device("cpu")
    geometry: Geometry = STORYWORLD.geometry

    def __init__(self, story: WorldStory, *, fading: bool) -> None:
        self.fading = fading
        self.seen = draw_shot(story, 0, 12, self.geometry)

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return full_prompt(global_caption, caption)

    def warm_up(self) -> None:
        pass

    def choose_context(self, past: Sequence[FinishedShot], prompt: str) -> ChosenContext:
        return ChosenContext(past=tuple(past), frames=(), captions=(prompt,), caption_index=())

    def make(self, plan: ShotRequest, context: ChosenContext) -> Iterator[Block]:
        for index in range(plan.blocks):
            left = 1 - 0.95 * index / plan.blocks if self.fading else 1.0
            shown = (128 + (self.seen.astype(float) - 128) * left).astype(np.uint8)
            yield Block(index, shown if index else shown[:9])


def test_what_stays_does_not_drift_and_what_fades_does() -> None:
    story = read_suite("storyworld-101").first(1)[0].story
    recognisers = Recognisers.load()
    told: list[int] = []
    still = score_long_shots(LastingWorld(story, fading=False), recognisers, [story], 310, told.append)
    faded = score_long_shots(LastingWorld(story, fading=True), recognisers, [story], 310, told.append)
    assert told == [1, 1] and set(still) == {"text_alignment", "subject", "background", "contrast"}
    for one in still.values():
        assert len(one.windows) == 3 and one.drift is not None
        assert abs(one.drift.mean) < 0.05
    for name in ("subject", "background", "contrast"):
        drift = faded[name].drift
        assert drift is not None and drift.mean > 0.15
    with pytest.raises(InputError, match="--frames 150: the first 100 frames are held against the last; give 200"):
        score_long_shots(LastingWorld(story, fading=False), recognisers, [story], 150, told.append)
