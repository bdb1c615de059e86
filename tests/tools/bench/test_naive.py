"""The plain implementation makes the same frames as the fast one; only the time differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.api import load
from shotstream.families.preset import SamplerSettings
from shotstream.film.director import Director
from shotstream.sampling.shot_generator import ShotGenerator
from shotstream.sampling.solvers import sampler
from shotstream.tools.bench.naive import NaiveGenerator

CAPTIONS = ("wide shot. it walks", "it sits in the snow", "a red fox sleeps", "it walks", "wide shot. it sleeps")


def takes(shots: ShotGenerator) -> list[np.ndarray]:
    """A film of five shots, so that every share of the context budget is met."""
    director = Director(shots, model_name="tiny", model_version="1")
    film = director.open(global_caption="a red fox in the forest", seed=3)
    return [film.shot(caption, seconds=1.3).wait().frames for caption in CAPTIONS]


@pytest.fixture
def shots(tiny_model: Path) -> ShotGenerator:
    return load(tiny_model, device="cpu", dtype="float32").generator


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_same_pictures(shots: ShotGenerator, guidance: float) -> None:
    settings = SamplerSettings(guidance=guidance)
    parts = (shots.model, shots.text_encoder.encoder, shots.codec)
    fast = ShotGenerator(*parts, shots.preset.model_copy(update={"student": settings}))
    naive = NaiveGenerator(fast)
    assert naive.settings.guidance == guidance and naive.model.dtype == torch.float32
    for ours, theirs in zip(takes(fast), takes(naive), strict=True):
        assert ours.shape == theirs.shape == (21, 32, 64, 3)
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert (ours == theirs).mean() > 0.999


def test_what_it_does_not_spare_itself(shots: ShotGenerator) -> None:
    """Passes of a shot of two blocks: context, four steps and a refresh of each; the fast way leaves out two."""
    passes = {}
    for name, director in (("fast", shots), ("naive", NaiveGenerator(shots))):
        frames = passes[name] = []
        director.model.register_forward_pre_hook(lambda _, inputs, told=frames: told.append(inputs[0].shape[1]))
        director.sampler = sampler(director.settings, director.preset.schedule)
        film = Director(director, model_name="tiny", model_version="1").open(global_caption="a fox")
        film.shot("it walks", 1.3).wait()
    assert passes["naive"] == [6, *[3] * 5, *[3] * 5]
    assert passes["fast"] == [6, *[3] * 4, 6, *[3] * 3]
