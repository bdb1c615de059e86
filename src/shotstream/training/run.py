"""Run a recipe: resolve it, build its stage, resume what is there, train, and show how it goes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.training.loop import Progress as Update
from shotstream.training.loop import Run
from shotstream.training.recipes import Recipe, describe, read_recipe
from shotstream.training.stage import Stage
from shotstream.training.stages.autoencoder import AutoencoderRecipe, AutoencoderStage
from shotstream.training.stages.causal_flow import CausalFlowRecipe, CausalFlowStage
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage
from shotstream.training.stages.text_encoder import TextEncoderRecipe, TextEncoderStage

log = logging.getLogger(__name__)
Report = Callable[[int, int], None]


def main(recipe: str, overrides: Sequence[str] = (), *, dry_run: bool = False, out: Path = Path("build/train")) -> None:
    """Train ``recipe`` in ``out``/<recipe name>; data it needs is made once in ``out``/data. Reruns resume."""
    settings = read_recipe(recipe, overrides)
    if dry_run:
        sys.stdout.write(describe(settings))
        return
    folder = out / Path(recipe).with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "recipe.yaml", describe(settings))
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        making = bars.add_task("data", total=None, visible=False)

        def made(done: int, total: int) -> None:
            bars.update(making, completed=done, total=total, visible=done < total)

        stage = build_stage(settings, out / "data", made)
        run = Run(stage, folder)
        if run.resume():
            log.info("resumed at update %d", run.update)
        training = bars.add_task("training", total=stage.loop.updates, completed=run.update)

        def watch(update: Update) -> None:
            words = f"{update.role} loss {update.loss:.4f} {update.samples_per_second:.1f} samples/s"
            bars.update(training, completed=update.update, description=words)

        run.train(watch)
    log.info("released into %s", folder)


def build_stage(settings: Recipe, store: Path, made: Report) -> Stage:
    """The stage a recipe describes; ``store`` holds the data it makes or finds."""
    torch.set_float32_matmul_precision("high")
    if isinstance(settings, AutoencoderRecipe):
        return AutoencoderStage(settings, store, made)
    if isinstance(settings, TextEncoderRecipe):
        return TextEncoderStage(settings, made)
    if isinstance(settings, TeacherRecipe):
        return TeacherStage(settings, store, made)
    if isinstance(settings, CausalFlowRecipe):
        return CausalFlowStage(settings, store, made)
    raise InputError(f"no stage for a {type(settings).__name__}")
