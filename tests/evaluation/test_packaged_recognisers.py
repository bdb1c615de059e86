"""The recognisers in the package, asked about true films that nobody trained them on."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from shotstream.data.world.render import render_shot
from shotstream.data.world.stories import make_story
from shotstream.evaluation.judge import BUNDLED, Recognisers, recognised
from shotstream.families.storyworld import STORYWORLD

SEEDS = range(5000, 5008)


@pytest.fixture(scope="module")
def right() -> dict[str, list[bool]]:
    """By attribute: was it read right, shot by shot?"""
    recognisers, size, found = Recognisers.load(BUNDLED), STORYWORLD.geometry, defaultdict(list)
    for seed in SEEDS:
        story = make_story(seed, shots=3, split="held-out")
        for shot in range(3):
            frames, _ = render_shot(story, shot, frames=21, width=size.width, height=size.height, fps=size.fps)
            for name, good in recognised(story, shot, recognisers.read(frames, size.fps)).items():
                found[name].append(good)
    return found


def test_they_read_what_is_to_be_seen(right: dict[str, list[bool]]) -> None:
    for name, least in {"time": 0.95, "weather": 0.95, "place": 0.85, "focus.colour": 0.9, "focus.kind": 0.65}.items():
        assert np.mean(right[name]) > least, name
    assert np.mean([good for answers in right.values() for good in answers]) > 0.9


def test_they_say_how_good_they_are() -> None:
    accuracy = Recognisers.load(BUNDLED).header.accuracy
    assert {name.split("/")[0] for name in accuracy} == {"truth"}
    assert all(0 <= value <= 1 for value in accuracy.values())
