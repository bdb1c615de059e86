"""A toy stage: a line is fitted to noisy points. All that a stage of your own needs is in this file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from pydantic import Field
from safetensors.torch import save_file
from torch import nn

from shotstream.core.randomness import stream
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role, names
from shotstream.training.recipes import Networks, Report, TrainedRecipe, register


@register
class LineRecipe(TrainedRecipe):
    """Recipe of the toy stage."""

    stage: Literal["line"] = "line"
    batch: int = Field(default=16, gt=0)
    optimiser: OptimiserSettings

    def networks(self) -> Networks:
        return {"line": (nn.Linear(3, 1), self.optimiser)}

    def build(self, store: Path, progress: Report) -> LineStage:
        return LineStage(self)


class LineStage:
    """One role, ``line``."""

    def __init__(self, recipe: LineRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.model = nn.Linear(3, 1)
        self.roles = {"line": Role(self.model, recipe.optimiser)}
        self.loop = recipe.loop

    def learner(self, update: int) -> str:
        return "line"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        points = torch.randn(self.recipe.batch, 3, generator=stream(self.recipe.seed, "points", *names(update, part)))
        return LossReport((self.model(points)[:, 0] - points.sum(1)).square().mean(), len(points))

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return Image.new("RGB", (8, 8)), {"slope": float(averaged["line"].weight.mean())}

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        save_file(averaged["line"].state_dict(), folder / "line.safetensors")
