"""Stage 2a: the teacher's trajectories, for causal initialisation (CausVid, arXiv 2412.07772, section 4.3).

The teacher solves its ODE by Euler steps on a grid that contains the student's timesteps; the states there and
the clean end are stored. Nothing learns here: this is sampling, and it goes on where it was interrupted.

Axes: B pairs · N states · F latent frames · C channels · h, w latent cells
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from shotstream.core.devices import mixed_precision
from shotstream.core.errors import InputError
from shotstream.core.files import fingerprint
from shotstream.core.randomness import derive, stream
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.solvers import euler_states
from shotstream.sampling.teacher import teacher_shot
from shotstream.training.data.material import Material, MaterialSettings, find_weights, start_from
from shotstream.training.data.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.data.trajectory_store import Trajectories, build_trajectories
from shotstream.training.distributed import ALONE, Processes
from shotstream.training.recipes import (
    FOUR_STEPS,
    Cost,
    Networks,
    PresetRecipe,
    Report,
    SampledRecipe,
    few_steps,
    pass_flops,
    register,
    training_preset,
)


@register
class TrajectoriesRecipe(PresetRecipe, SampledRecipe):
    """Recipe of this stage. ``samples.batch`` pairs go into one file; lengths and shares as in training."""

    stage: Literal["trajectories"] = "trajectories"
    material: MaterialSettings
    samples: NextShotSettings = NextShotSettings(context_drop=0, caption_drop=0)
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: str  # the teacher's weights, a file or "bundled"
    pairs: int = Field(gt=0)
    steps: int = Field(default=20, gt=0)  # Euler steps
    guidance: float = Field(default=2.0, ge=0)  # uncond + g (cond - uncond)
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"  # of the matmuls

    def networks(self) -> Networks:
        return {"teacher": (Transformer(training_preset(self).transformer), None)}

    def cost(self) -> Cost:
        preset = training_preset(self)
        frames = self.samples.mean_frames(preset.geometry)
        branches = 1 if self.guidance == 1 else 2
        return Cost(
            preset=preset,
            batch=self.samples.batch,
            frames=self.samples.longest(preset.geometry),
            flops=branches * self.steps * pass_flops(preset, 0, frames, frames),
            times=self.pairs,
            unit="pair",
        )

    def make(self, store: Path, folder: Path, progress: Report, processes: Processes) -> None:
        make_trajectories(self, store, folder, progress, processes)


def student_places(preset: Preset, steps: int) -> tuple[list[float], list[int]]:
    """The Euler grid's timesteps, and the places of the student's timesteps (and of the clean end) in it.

    Raises :class:`InputError` if the grid misses one of them.
    """
    grid = list(preset.schedule.euler(steps))
    places = []
    for wanted in preset.schedule.few_step(preset.student.timesteps):
        near = min(range(len(grid)), key=lambda place: abs(grid[place] - wanted))
        if abs(grid[near] - wanted) > 1e-6:
            raise InputError(
                f"steps: a grid of {steps} misses the student's timestep {wanted:.1f}; take a number of steps in which "
                f"each of {list(preset.student.timesteps)} thousandths is whole, such as {_fitting(preset, steps)}"
            )
        places.append(near)
    return grid, [*places, steps]


def _fitting(preset: Preset, steps: int) -> int:
    """The next larger number of steps whose grid holds the student's timesteps."""
    return next(n for n in range(steps, steps + 1001) if all(t * n % 1000 == 0 for t in preset.student.timesteps))


def make_trajectories(
    recipe: TrajectoriesRecipe,
    store: Path,
    folder: Path,
    progress: Report,
    processes: Processes = ALONE,
) -> None:
    """Sample the recipe's pairs into ``folder``, as shards; those already there are kept. Processes share them out."""
    preset = few_steps(training_preset(recipe), recipe.student_steps)
    grid, places = student_places(preset, recipe.steps)
    teacher = Transformer(preset.transformer).requires_grad_(False).eval()
    start_from(teacher, recipe.start, "teacher")
    teacher.to(processes.device)
    with processes.first_before_others():
        material = Material(recipe.material, preset, store, progress)
    # Of the shots' own lengths, as the teacher is trained; causal initialisation cuts them to whole blocks.
    shortest = preset.geometry.block_frames
    sampler = NextShotSampler(material.train, preset, recipe.samples, shortest=shortest)

    def make(number: int) -> Trajectories:
        batch = sampler.batch(random.Random(derive(recipe.seed, "pairs", number))).to(teacher.device)
        noise = torch.randn(batch.target.shape, generator=stream(recipe.seed, "pairs", number, "noise")).to(
            batch.target
        )
        with torch.no_grad(), mixed_precision(recipe.dtype, teacher.device):
            states = solve(teacher, preset, batch, noise, grid, recipe.guidance, material.unconditional)
        return Trajectories(
            torch.stack([states[place] for place in places], dim=1),
            torch.tensor([grid[place] for place in places]),
            batch.context,
            batch.caption,
        )

    build_trajectories(
        folder,
        shards=-(-recipe.pairs // recipe.samples.batch),
        made_by={
            "recipe": recipe.model_dump(mode="json", exclude={"start", "material"}),
            "teacher": fingerprint(find_weights(recipe.start, "teacher")),
            "material": {**recipe.material.model_dump(mode="json", exclude_none=True), **material.versions},
            **({} if preset.negative_prompt is None else {"negative_prompt": preset.negative_prompt}),
        },
        make=make,
        progress=progress,
        processes=processes,
    )


def solve(
    teacher: Transformer,
    preset: Preset,
    batch: NextShotBatch,
    noise: Tensor,
    grid: list[float],
    guidance: float,
    unconditional: Tensor | None,
) -> list[Tensor]:
    """The teacher's states [B, F, C, h, w] at every timestep of ``grid``, from ``noise`` to the clean shot.

    unconditional: the text [L, D] that guidance leads away from, None for zeros.
    """
    shot = teacher_shot(
        teacher,
        batch.context,
        batch.caption,
        frames=noise.shape[1],
        guidance=guidance,
        condition_time=preset.condition_time,
        unconditional=unconditional,
    )
    return list(euler_states(shot.flow, noise, grid))
