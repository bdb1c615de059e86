"""What the stages of a student alone share: causal flow matching, causal initialisation, guidance distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from PIL import Image
from torch import nn

from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import Role as RoleName
from shotstream.training.material import Material, MaterialSettings, start_from
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings, check_whole_blocks
from shotstream.training.next_shot_look import student_look
from shotstream.training.release import release_transformers
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stage import Role


class StudentRecipe(Protocol):
    """What they read of their recipes. ``start``: a weight file, or "bundled"."""

    @property
    def material(self) -> MaterialSettings: ...
    @property
    def samples(self) -> NextShotSettings: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...
    @property
    def loop(self) -> LoopSettings: ...
    @property
    def start(self) -> str: ...


class StudentStage:
    """One role, ``student``: everything but its loss."""

    def __init__(
        self,
        recipe: StudentRecipe,
        preset: Preset,
        store: Path,
        progress: Callable[[int, int], None],
        *,
        starts_as: RoleName = "teacher",
        figure_weight: float = 0,
    ) -> None:
        """preset: how what is left will be sampled. starts_as: whose packaged weights "bundled" are.

        figure_weight: what characters count for in samples, see ``figure_weights``.
        """
        self.preset = preset
        self.model = Transformer(preset.transformer)
        start_from(self.model, recipe.start, starts_as)
        self.roles = {"student": Role(self.model, recipe.optimiser)}
        self.loop = recipe.loop
        check_whole_blocks(recipe.samples.lengths, preset.geometry)
        self.material = Material(recipe.material, preset.geometry, store, progress)
        figures = self.material.figures(figure_weight)
        self.sampler = NextShotSampler(self.material.train, preset, recipe.samples, figures=figures)

    def turn(self, update: int) -> str:
        return "student"

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self.material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        release_transformers(averaged, ["student"], self.preset, self.material.versions, folder)
