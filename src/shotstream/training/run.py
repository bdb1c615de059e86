"""Runs a recipe: builds its stage, resumes, trains, reports progress; or estimates what that costs.

Of the costs: FLOPs count the transformer's matmuls (2 per multiply-add; backward twice the forward), not the norms, and
not the caption's keys and values. Activations are a rule of thumb. What a device must hold besides (latents, codec) is
small beside these.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from shotstream.checkpoints.model_files import EMBEDDED
from shotstream.core.errors import InputError
from shotstream.core.files import whole_file, write_text
from shotstream.core.process import keep_freed_pages
from shotstream.families.preset import write_preset
from shotstream.models.config import key_value_bytes
from shotstream.models.transformer import Transformer
from shotstream.training.distributed import Processes, check_parts, joined
from shotstream.training.engine.loop import Progress as Update
from shotstream.training.engine.loop import Run
from shotstream.training.engine.optimisers import is_matrix
from shotstream.training.engine.stage import OptimiserSettings
from shotstream.training.recipes import (
    Cost,
    PipelineRecipe,
    Recipe,
    SampledRecipe,
    TrainedRecipe,
    describe,
    named_preset,
    read_recipe,
)

log = logging.getLogger(__name__)


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
    cpu_only = isinstance(settings, PipelineRecipe) or settings.cpu_only
    with joined(gpu=not cpu_only) as processes:
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
    store = out / "data" if family in ("", EMBEDDED) else out / "data" / family
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        making = bars.add_task(f"{name}: data", total=None, visible=False)

        def made(done: int, total: int) -> None:
            bars.update(making, completed=done, total=total, visible=done < total)

        if isinstance(settings, SampledRecipe):
            settings.make(store, folder, made, processes)
            log.info("%s: made in %s", name, folder)
            return
        if not isinstance(settings, TrainedRecipe):
            raise InputError(f"{name}: a pipeline cannot be a step of another; name its recipes instead")
        torch.set_float32_matmul_precision("high")
        with processes.first_before_others():
            stage = settings.build(store, made)
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


def run_pipeline(recipe: PipelineRecipe, out: Path, run: Callable[[str], None]) -> Path:
    """Run every step; return the folder ``out``/model, which ``shotstream.load`` takes.

    Steps that are done are passed over quickly: rerunning goes on where it stopped. Raises :class:`InputError` if a
    step has not left what the model needs.
    """
    for step in recipe.steps:
        run(step)
    folder = out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in recipe.model.items():
        if not Path(source).is_file():
            raise InputError(f"{source}: not there; no step of the pipeline has left it")
        with whole_file(folder / name) as temporary:
            shutil.copyfile(source, temporary)
    write_preset(named_preset(recipe.preset), folder)
    return folder


FLOAT, NARROW = 4, 2  # bytes


@dataclass(frozen=True)
class RolePlan:
    """Parameters of one network, how many of them learn, and the bytes it takes."""

    parameters: int
    learning: int
    bytes: int


def plan(recipe: Recipe, devices: int | None = None) -> Iterator[str]:
    """Lines for a person. Nothing is loaded, drawn or allocated.

    devices: how many processes, one device each; None is 8 for a recipe that shards (as published), else 1. Raises
    :class:`InputError` if the recipe's parts cannot be shared by so many.
    """
    if isinstance(recipe, PipelineRecipe):
        yield from (f"step {place}: {step}" for place, step in enumerate(recipe.steps))
        return
    loop = recipe.loop if isinstance(recipe, TrainedRecipe) else None
    sharded = loop is not None and loop.sharded
    devices = devices or (8 if sharded else 1)
    if loop is not None:
        check_parts(loop.accumulate, devices)
    with torch.device("meta"):
        networks = recipe.networks()
    total = 0
    for name, (module, optimiser) in networks.items():
        role = role_plan(module, optimiser, devices if sharded else 1)
        total += role.bytes
        yield f"{name}: {role.parameters:,} parameters, {role.learning:,} learn; {_size(role.bytes)}"
    where = "one device" if devices == 1 else f"each of {devices} devices{', in shards' if sharded else ''}"
    yield f"memory of {where} without activations: {_size(total)} (weights, gradients, optimiser, average)"
    cost = recipe.cost()
    if cost is None:
        return
    kept = _activations(cost, checkpointed=loop is not None and loop.checkpoint_activations)
    yield f"activations at most about {_size(kept)} (batch {cost.batch}, {cost.frames} frames)"
    yield f"together at most about {_size(total + kept)} on a device"
    yield f"compute: {cost.flops:.3g} FLOPs per {cost.unit}, {cost.flops * cost.times:.3g} in all " + (
        f"({cost.times} {cost.unit}s)"
    )


def role_plan(module: nn.Module, optimiser: OptimiserSettings | None, shards: int = 1) -> RolePlan:
    """Bytes of weights, and for a learning role of gradients, optimiser state and average; None is frozen.

    In ``shards``, a device holds its share of these, and during an update besides all weights as they are used (the
    matmuls' in half precision) and the sum of its gradients, which meet those of the others at the end.
    """
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    parameters = sum(sizes.values())
    if optimiser is None:
        return RolePlan(parameters, 0, FLOAT * parameters)
    learning = {name: size for name, size in sizes.items() if module.get_parameter(name).requires_grad}
    if optimiser.lora:
        rank = optimiser.lora.rank
        adapted = {
            name: rank * (part.in_features + part.out_features)
            for name, part in module.named_modules()
            if isinstance(part, nn.Linear) and "blocks." in name
        }
        learning, parameters = adapted, parameters + sum(adapted.values())
    moments = sum(size * _moments(module, name, optimiser) for name, size in learning.items())
    learns = sum(learning.values())
    bytes_ = FLOAT * (parameters + 2 * learns + moments)
    if shards > 1:
        bytes_ = bytes_ // shards + _gathered(module, parameters) + FLOAT * learns
    return RolePlan(parameters, learns, bytes_)


def _gathered(module: nn.Module, parameters: int) -> int:
    """Bytes of all weights as an update uses them: those of matmuls in half precision, the rest in float32."""
    assert isinstance(module, Transformer)
    matmuls = module.matmul_names()
    wide = sum(parameter.numel() for name, parameter in module.named_parameters() if name not in matmuls)
    return NARROW * (parameters - wide) + FLOAT * wide


def _moments(module: nn.Module, name: str, optimiser: OptimiserSettings) -> int:
    """Numbers the optimiser keeps per parameter: Muon one, AdamW two."""
    if optimiser.kind == "adamw":
        return 2
    return 1 if optimiser.lora or is_matrix(name, module.get_parameter(name)) else 2


def _activations(cost: Cost, *, checkpointed: bool) -> int:
    """Bytes kept for one backward pass: some ten widths and two hidden widths per token and layer, half precision;
    checkpointed, that of one layer, and of every other what enters it, in float32."""
    config, geometry = cost.preset.transformer, cost.preset.geometry
    tokens = cost.batch * (geometry.context_frames + cost.frames) * geometry.tokens_per_frame
    layer = NARROW * tokens * (10 * config.dim + 2 * config.ffn_dim)
    kept = layer + config.layers * FLOAT * tokens * config.dim if checkpointed else config.layers * layer
    return kept + (key_value_bytes(config, tokens, 2) if cost.cached else 0)


def _size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
