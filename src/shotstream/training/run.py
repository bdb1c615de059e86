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

from shotstream.core.allocator import keep_freed_pages
from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.training.loop import Progress as Update
from shotstream.training.loop import Run
from shotstream.training.pipeline import PipelineRecipe, run_pipeline
from shotstream.training.plan import plan
from shotstream.training.processes import Processes, joined
from shotstream.training.recipes import Recipe, StageRecipe, describe, read_recipe
from shotstream.training.stage import Stage
from shotstream.training.stages.autoencoder import AutoencoderRecipe, AutoencoderStage
from shotstream.training.stages.causal_flow import CausalFlowRecipe, CausalFlowStage
from shotstream.training.stages.causal_init import CausalInitRecipe, CausalInitStage
from shotstream.training.stages.guidance import GuidanceRecipe, GuidanceStage
from shotstream.training.stages.inter_shot import InterShotRecipe, InterShotStage
from shotstream.training.stages.intra_shot import IntraShotRecipe, IntraShotStage
from shotstream.training.stages.light_decoder import LightDecoderRecipe, LightDecoderStage
from shotstream.training.stages.recognisers import RecognisersRecipe, RecognisersStage
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage
from shotstream.training.stages.text_encoder import TextEncoderRecipe, TextEncoderStage
from shotstream.training.stages.trajectories import TrajectoriesRecipe, make_trajectories

log = logging.getLogger(__name__)
Report = Callable[[int, int], None]


def main(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    dry_run: bool = False,
    devices: int | None = None,
    out: Path = Path("build/train"),
) -> None:
    """Train ``recipe`` in ``out``/<recipe name>; data it needs is made once in ``out``/data. Reruns resume.

    Started by torchrun, every process calls this, and they train together.
    dry_run: print the resolved recipe as YAML and, as its comments, what it will cost on each of ``devices``; train
    nothing.
    """
    settings = read_recipe(recipe, overrides, out)
    if dry_run:
        sys.stdout.write(describe(settings))
        sys.stdout.writelines(f"# {line}\n" for line in plan(settings, devices))
        return
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    keep_freed_pages(all_of_it=True)
    # The small codecs and the recognisers were only ever trained on CPUs, and draw their noise there.
    on_cpu = PipelineRecipe | AutoencoderRecipe | TextEncoderRecipe | RecognisersRecipe | LightDecoderRecipe
    with joined(gpu=not isinstance(settings, on_cpu)) as processes:
        if not processes.first:
            logging.disable(logging.INFO)
            console = Console(quiet=True)
        if isinstance(settings, PipelineRecipe):
            if processes.count > 1:
                raise InputError(f"{recipe}: a pipeline runs in one process; start its recipes one after the other")
            model = run_pipeline(
                settings, out, lambda step: run(step, read_recipe(step, (), out), out, console, processes)
            )
            log.info("the model: %s", model)
        else:
            run(recipe, settings, out, console, processes)


def run(name: str, settings: Recipe, out: Path, console: Console, processes: Processes) -> None:
    """One recipe, with bars on ``console``."""
    folder = out / Path(name).with_suffix("")
    if processes.first:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "recipe.yaml", describe(settings))
    # Each family of recipes has its own data: making nano's must not replace the embedded preset's.
    family = Path(name).parent.name
    store = out / "data" if family in ("", "storyworld") else out / "data" / family
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        making = bars.add_task(f"{name}: data", total=None, visible=False)

        def made(done: int, total: int) -> None:
            bars.update(making, completed=done, total=total, visible=done < total)

        if isinstance(settings, TrajectoriesRecipe):
            make_trajectories(settings, store, folder, made, processes)
            log.info("%s: trajectories in %s", name, folder)
            return
        if isinstance(settings, PipelineRecipe):
            raise InputError(f"{name}: a pipeline cannot be a step of another; name its recipes instead")
        with processes.first_before_others():
            stage = build_stage(settings, store, made)
        trained = Run(stage, folder, processes)
        if trained.resume():
            log.info("%s: resumed at update %d", name, trained.update)
        training = bars.add_task(name, total=trained.stage.loop.updates, completed=trained.update)

        losses: dict[str, float] = {}  # every role's last one

        def watch(update: Update) -> None:
            losses[update.role] = update.loss
            said = ", ".join(f"{role} loss {loss:.4f}" for role, loss in losses.items())
            words = f"{name}: {said} {update.samples_per_second:.1f} samples/s"
            bars.update(training, completed=update.update, description=words)

        trained.train(watch)
    log.info("%s: released into %s", name, folder)


def build_stage(settings: StageRecipe, store: Path, made: Report) -> Stage:
    """The stage a recipe describes; ``store`` holds the data it makes or finds."""
    torch.set_float32_matmul_precision("high")
    match settings:
        case AutoencoderRecipe():
            return AutoencoderStage(settings, store, made)
        case TextEncoderRecipe():
            return TextEncoderStage(settings, made)
        case TeacherRecipe():
            return TeacherStage(settings, store, made)
        case CausalFlowRecipe():
            return CausalFlowStage(settings, store, made)
        case GuidanceRecipe():
            return GuidanceStage(settings, store, made)
        case CausalInitRecipe():
            return CausalInitStage(settings, store, made)
        case IntraShotRecipe():
            return IntraShotStage(settings, store, made)
        case InterShotRecipe():
            return InterShotStage(settings, store, made)
        case RecognisersRecipe():
            return RecognisersStage(settings, store, made)
        case LightDecoderRecipe():
            return LightDecoderStage(settings, store, made)
