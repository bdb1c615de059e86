"""A stage of nothing but a line to fit, a process that trains it until it kills itself, and a watcher that sleeps."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from shotstream.core.randomness import stream
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import LoopSettings, LossReport, OptimiserSettings, Role, Stage, names
from shotstream.training.recipes import Recipe, TrainedRecipe


def build(recipe: Recipe, store: Path) -> Stage:
    """The stage of a recipe that the loop can train."""
    assert isinstance(recipe, TrainedRecipe)
    return recipe.build(store, ignore)


def ignore(*progress: object) -> None:
    """Watches nothing."""


class LineStage:
    """Two roles fit the same line, by turns. The loss becomes ``factor_at[update]`` times itself."""

    def __init__(self, updates: int = 12, factor_at: Mapping[int, float] | None = None, **loop: object) -> None:
        torch.manual_seed(0)
        optimiser = OptimiserSettings(kind="adamw", rate=0.05, ema=0.5)
        self.roles = {name: Role(nn.Linear(3, 1), optimiser) for name in ("student", "critic")}
        settings = {"warmup": 2, "decay": 0.5, "save_every": 5, "look_every": 5, "dtype": "float32", **loop}
        self.loop = LoopSettings.model_validate({"updates": updates, **settings})
        self.factor_at = factor_at or {}
        self.parts: list[tuple[int, int]] = []

    def learner(self, update: int) -> str:
        return "student" if update % 3 == 0 else "critic"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        self.parts.append((update, part))
        x = torch.randn(16, 3, generator=stream(1, "line", *names(update, part)))
        loss = (self.roles[role].module(x)[:, 0] - x.sum(1)).square().mean()
        return LossReport(loss * self.factor_at.get(update, 1.0), len(x), {"part": float(part)})

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return Image.new("RGB", (4, 4)), {"weight": float(next(averaged["student"].parameters()).detach().sum())}

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        save_file(averaged["student"].state_dict(), folder / "student.safetensors")


def train_and_die(folder: Path, update: int) -> None:
    """Train, and kill this very process without warning after ``update``, in the middle of a line of the curve."""
    run = Run(LineStage(), folder)
    run.resume()

    def watch(progress: object) -> None:
        if run.update == update:
            with (folder / "curve.jsonl").open("a") as curve:
                curve.write('{"update": 9')
            os.kill(os.getpid(), signal.SIGKILL)

    run.train(watch)


if __name__ == "__main__":
    train_and_die(Path(sys.argv[1]), int(sys.argv[2]))
