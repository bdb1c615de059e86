"""What a look says of a teacher beside its pictures: the flow's loss on known and on held-out shots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import ignore
from torch import Tensor

from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.training.data.latent_store import SHARD, LatentShot, LatentStore
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.methods.transformer_stage import memory_errors, shot_loss, teacher_look


@pytest.fixture
def preset(preset_file: str) -> Preset:
    return Preset.model_validate_json(Path(preset_file).read_bytes())


@pytest.fixture
def found(material: MaterialSettings, preset: Preset, store: Path) -> Material:
    return Material(material, preset, store, ignore)


def energy(store: LatentStore) -> float:
    """The mean square of every latent of first blocks' shots."""
    shots = [store.shot(story, shot).latents for story in store.shown for shot in range(store.shots(story))]
    return float(torch.cat(shots).square().mean())


def test_a_silent_network_misses_noise_and_latents(found: Material, preset: Preset) -> None:
    """It predicts no flow, so its loss is E (n - x0)^2 = 1 + E x0^2."""
    silent = Transformer(preset.transformer)
    loss = shot_loss(silent, preset, found.train)
    assert loss == pytest.approx(1 + energy(found.train), rel=0.05)
    assert loss == shot_loss(silent, preset, found.train)  # the same shots, noise and times


def test_known_and_held_out_shots_are_told_apart(found: Material, preset: Preset) -> None:
    torch.manual_seed(0)
    image, metrics = teacher_look(Transformer(preset.transformer), preset, found)
    memory = {"own_memory_error", "foreign_memory_error"}
    assert metrics.keys() == {"latent_error", "train_loss", "held_out_loss", *memory}
    assert metrics["train_loss"] != metrics["held_out_loss"]
    assert image.width > preset.geometry.width


class Alike(LatentStore):
    """All that a story shows is one number of its own."""

    def shot(self, story: int, shot: int) -> LatentShot:
        found = super().shot(story, shot)
        return replace(
            found,
            latents=torch.full_like(found.latents, float(story)),
            singles=torch.full_like(found.singles, float(story)),
        )


class Copyist(Transformer):
    """Predicts that every frame looks as the first condition frame does."""

    def forward(self, latents: Tensor, *arguments: Any, **named: Any) -> Tensor:
        return latents - latents[:, :1]  # all the noise is flow where it is pure


def test_what_is_remembered_shows_between_the_two(preset: Preset, store: Path) -> None:
    alike = Alike(store / "latents-held-out", SHARD, preset.geometry)
    own, foreign = memory_errors(Copyist(preset.transformer), preset, alike)
    assert own == pytest.approx(0, abs=1e-9) and foreign > 1
    own, foreign = memory_errors(Transformer(preset.transformer), preset, alike)
    assert own == foreign  # who sees no memory makes the same mistakes behind any
