"""Self-forcing with distribution matching: the base of the intra-shot and the inter-shot stage.

The student rolls out a shot exactly as it streams; teacher and critic say where it should move (DMD, arXiv 2405.14867).
What the shots come after (true history, or the student's own) is what the two stages differ in. One step of every
block, the exit step, has gradients, and the rollout ends there (arXiv 2506.08009, algorithm 1). The critic learns from
a buffer of rollouts.

Axes: B batch · F latent frames · C channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from shotstream.checkpoints.transformer_weights import Role as RoleName
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.flow import add_noise, x0_from_flow
from shotstream.core.randomness import derive, stream
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.prompts import Branches
from shotstream.sampling.rollout import BatchNoise, NamedNoise, rollout
from shotstream.sampling.solvers import GradientPolicy, sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.data.material import Material, MaterialSettings, start_from
from shotstream.training.data.next_shot_batches import check_whole_blocks
from shotstream.training.data.trajectory_store import context_of, context_tensors
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role, frozen, names
from shotstream.training.methods.losses import dmd_gradient, dmd_loss, flow_loss
from shotstream.training.methods.transformer_stage import release_transformers, student_look
from shotstream.training.recipes import (
    FOUR_STEPS,
    Cost,
    Networks,
    PresetRecipe,
    Report,
    TrainedRecipe,
    few_steps,
    pass_flops,
    training_preset,
)


@dataclass(frozen=True)
class Rollout:
    """A shot the student made, and what it was asked for."""

    latents: Tensor  # [B, F, C, h, w]
    context: ContextFrames
    caption: Tensor  # [B, L, D]

    def detached(self) -> Rollout:
        return Rollout(self.latents.detach(), self.context, self.caption)


def roll_out(
    model: Transformer,
    preset: Preset,
    context: ContextFrames,
    caption: Tensor,
    *,
    frames: int,
    exit_step: int,
    seeds: list[int],
    learning: bool,
    context_gradient: bool = False,
) -> Rollout:
    """``frames`` latent frames (whole blocks) by the student's own sampler, every block ended at ``exit_step``.

    seeds: one per sample, so that frames do not depend on the batch. learning: with gradients, at the exit
    step and, with ``context_gradient``, in the context pass.
    """
    policy = GradientPolicy(exit_step=exit_step, context=learning and context_gradient)
    with nullcontext() if learning else frozen(model):
        # The refresh pass is left out where the last step was made and nothing learns from it.
        last = exit_step == len(preset.student.timesteps) - 1
        refresh = preset.student.refresh or learning or not last
        shot = StreamingShot(model, context, max_frames=frames, gradient=policy, refresh=refresh)
        shot.read(caption)
        blocks = rollout(
            shot,
            sampler(preset.student, preset.schedule),
            BatchNoise([NamedNoise(seed, shot=0) for seed in seeds]),
            blocks=frames // preset.geometry.block_frames,
            block_shape=(preset.geometry.block_frames, *preset.geometry.latent_shape),
            device=model.device,
            gradient=policy,
        )
        return Rollout(torch.cat(list(blocks), dim=1), context, caption)


def sample_seeds(seed: int, update: int, part: int, count: int) -> list[int]:
    """One rollout seed per sample of a part of an update."""
    return [derive(seed, "rollout", update, part, sample) for sample in range(count)]


class Buffer:
    """The last rollouts, for critic updates that need not wait for a new one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: list[Rollout] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, made: Rollout) -> None:
        self._kept = [*self._kept, made.detached()][-self.size :] if self.size else []

    def draw(self, draw: random.Random) -> Rollout:
        return draw.choice(self._kept)

    def extra_state(self) -> list[dict[str, Any]]:
        """The buffer as plain tensors, for a checkpoint."""
        return [
            {"latents": made.latents, "caption": made.caption, **context_tensors(made.context)} for made in self._kept
        ]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Restore what :meth:`extra_state` gave."""
        self._kept = [Rollout(kept["latents"], context_of(kept), kept["caption"]) for kept in state]


class DmdSettings(Config):
    """How student and critic take turns, and what tells them apart."""

    guidance: float = Field(default=2.0, ge=0)  # of the real score: uncond + g (cond - uncond)
    critic_updates: int = Field(default=5, ge=0)  # per update of the student
    critic_warmup: int = Field(default=0, ge=0)  # first updates, the critic's alone
    first_exit: int = Field(default=0, ge=0)  # rollouts end at this step or a later one; steps before it never learn
    context_gradient: bool = True  # do gradients flow through the pass that writes the context cache?
    lowest: float = Field(default=20, ge=0, le=1000)  # timesteps of both scores are clamped to this range
    highest: float = Field(default=980, ge=0, le=1000)


def score(
    model: Transformer,
    preset: Preset,
    made: Rollout,
    noisy: Tensor,
    timesteps: Tensor,
    guidance: float = 1.0,
    unconditional: Tensor | None = None,
) -> Tensor:
    """The (guided) flow [B, F, C, h, w] a bidirectional network sees in ``noisy`` at ``timesteps`` [B].

    unconditional: the text [L, D] that guidance leads away from, None for zeros.
    """
    branches = Branches(guidance, unconditional)
    context = branches.context(made.context)
    caption = branches.captions(made.caption[:, None])[:, 0]
    both, times = branches.latents(noisy), branches.latents(timesteps)
    return branches.guided(next_shot_flow(model, context, caption, both, times, preset.condition_time))


def draw_times(settings: DmdSettings, preset: Preset, count: int, generator: torch.Generator) -> Tensor:
    """[count] timesteps: a uniform index into the shifted table, clamped."""
    return preset.schedule.draw_uniform(count, generator).clamp(settings.lowest, settings.highest)


def student_loss(
    made: Rollout,
    teacher: Transformer,
    critic: Transformer,
    preset: Preset,
    settings: DmdSettings,
    generator: torch.Generator,
    unconditional: Tensor | None = None,
) -> LossReport:
    """Distribution matching: move the rollout from where the critic sees it to where the guided teacher does."""
    x0 = made.latents
    with torch.no_grad():
        timesteps = draw_times(settings, preset, len(x0), generator)
        noisy = add_noise(x0, torch.randn(x0.shape, generator=generator).to(x0), timesteps)
        guided = score(teacher, preset, made, noisy, timesteps, settings.guidance, unconditional)
        real = x0_from_flow(noisy, guided, timesteps)
        fake = x0_from_flow(noisy, score(critic, preset, made, noisy, timesteps), timesteps)
        gradient = dmd_gradient(x0, real, fake)
    metrics = {"dmd_gradient": float(gradient.abs().mean()), "real_distance": float((x0.detach() - real).abs().mean())}
    return LossReport(dmd_loss(x0, gradient), len(x0), metrics)


def critic_loss(
    made: Rollout, critic: Transformer, preset: Preset, settings: DmdSettings, generator: torch.Generator
) -> LossReport:
    """Unweighted flow matching on what the student makes: the critic's score follows the student's distribution."""
    x0 = made.latents.detach()
    timesteps = draw_times(settings, preset, len(x0), generator)
    noise = torch.randn(x0.shape, generator=generator).to(x0)
    flow = score(critic, preset, made, add_noise(x0, noise, timesteps), timesteps)
    return LossReport(flow_loss(flow, x0, noise), len(x0))


Lengths = Iterable[int] | Literal["clips"]


class Starts(Config):
    """Where the networks start: weight files, or "bundled". ``critic`` None is the teacher's weights."""

    teacher: str
    student: str
    critic: str | None = None


class SelfForcingRecipe(PresetRecipe, TrainedRecipe):
    """What both recipes hold. ``student.ema`` averages the student that is looked at and released."""

    material: MaterialSettings
    student_steps: tuple[int, ...] = FOUR_STEPS  # the student's timesteps, looked up in the shifted schedule
    start: Starts
    dmd: DmdSettings = DmdSettings()
    student: OptimiserSettings
    critic: OptimiserSettings

    def networks(self) -> Networks:
        network = Transformer(training_preset(self).transformer)
        return {"teacher": (network, None), "student": (network, self.student), "critic": (network, self.critic)}

    def cost_of(self, batch: int, frames: float, longest: int, again: int = 0) -> Cost:
        """The cost of ``batch`` shots of ``frames`` latent frames on average; ``again``: steps of a second rollout."""
        preset = training_preset(self)
        kept = preset.geometry.context_frames
        once = pass_flops(preset, 0, frames, frames)
        both = pass_flops(preset, kept, frames, frames)
        context = pass_flops(preset, kept, 0, 0)
        rollout = context + once * ((len(self.student_steps) + 1) / 2 + 1 + (again + 1 if again else 0))
        learning = self.loop.learning_passes
        student = rollout + (learning - 1) * once + both * (1 + (1 if self.dmd.guidance == 1 else 2))
        critic = rollout + learning * both
        mean = (student + self.dmd.critic_updates * critic) / (1 + self.dmd.critic_updates)
        flops = self.loop.accumulate * batch * mean
        return Cost(preset=preset, batch=batch, frames=longest, flops=flops, times=self.loop.updates, cached=True)


class SelfForcingStage(ABC):
    """Two roles, ``student`` and ``critic``."""

    def __init__(self, recipe: SelfForcingRecipe, lengths: Lengths, store: Path, progress: Report) -> None:
        """lengths: of shots, in latent frames. Raises :class:`InputError` for settings that do not fit each other."""
        steps = len(recipe.student_steps)
        if recipe.dmd.first_exit >= steps:
            raise InputError(f"dmd.first_exit: {recipe.dmd.first_exit}, but the student's steps are 0 to {steps - 1}")
        self._recipe, start = recipe, recipe.start
        self.preset = few_steps(training_preset(recipe), recipe.student_steps)
        self._teacher = self._load(start.teacher, "teacher").requires_grad_(False).eval()
        self.student = self._load(start.student, "student")
        self.critic = self._load(start.critic or start.teacher, "critic" if start.critic else "teacher")
        self.roles = {"student": Role(self.student, recipe.student), "critic": Role(self.critic, recipe.critic)}
        self.loop = recipe.loop
        check_whole_blocks(lengths, self.preset.geometry)
        self.material = Material(recipe.material, self.preset, store, progress)

    def _load(self, name: str, bundled: RoleName) -> Transformer:
        model = Transformer(self.preset.transformer)
        start_from(model, name, bundled)
        return model

    @property
    def teacher(self) -> Transformer:
        """Frozen, on the student's device."""
        return self._teacher.to(self.student.device)

    @property
    def last_step(self) -> int:
        """The student's last denoising step, counted from 0."""
        return len(self.preset.student.timesteps) - 1

    @abstractmethod
    def learner(self, update: int) -> str:
        """Which role learns at ``update``."""

    def student_learns(self, update: int, place: int) -> bool:
        """Is ``place``, a count of updates (plus a clip's shift), the student's? After the warm-up, one in so many."""
        dmd = self._recipe.dmd
        return update >= dmd.critic_warmup and place % (dmd.critic_updates + 1) == 0

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        generator = stream(self._recipe.seed, "noise", *names(update, part))
        made = self.roll_out(update, part, learning=role == "student")
        if role == "critic":
            return critic_loss(made, self.critic, self.preset, self._recipe.dmd, generator)
        return student_loss(
            made,
            self.teacher,
            self.critic,
            self.preset,
            self._recipe.dmd,
            generator,
            self.material.unconditional,
        )

    @abstractmethod
    def roll_out(self, update: int, part: int, *, learning: bool) -> Rollout:
        """The shots that the update learns from; with gradients if the student is ``learning``."""

    def exit_step(self, draw: random.Random) -> int:
        """Where an update's rollouts end; the same in all parts and processes, so ``draw`` must be the update's."""
        return draw.randint(self._recipe.dmd.first_exit, self.last_step)

    def made(
        self,
        context: ContextFrames,
        caption: Tensor,
        frames: int,
        exit_step: int,
        update: int,
        part: int,
        *,
        learning: bool,
    ) -> Rollout:
        """The student's shots of ``frames`` latent frames after ``context``, from the noise of this update."""
        return roll_out(
            self.student,
            self.preset,
            context,
            caption,
            frames=frames,
            exit_step=exit_step,
            seeds=sample_seeds(self._recipe.seed, update, part, len(caption)),
            learning=learning,
            context_gradient=self._recipe.dmd.context_gradient,
        )

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        return student_look(cast(Transformer, averaged["student"]), self.preset, self.material)

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        release_transformers(averaged, ("student", "critic"), self.preset, self.material.versions, folder)
