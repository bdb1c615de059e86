"""Self-forcing with distribution matching: what the intra-shot and the inter-shot stage share.

The student rolls a shot out exactly as it streams (``sampling/rollout``); one step of every block, the exit step,
has gradients, and the rollout ends there (arXiv 2506.08009, algorithm 1). The frozen teacher and a critic that
follows the student say in which direction the shot should move (DMD, arXiv 2405.14867).

Axes: B batch · F latent frames · C channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.flow import add_noise, x0_from_flow
from shotstream.core.randomness import derive
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.noise import BatchNoise, NamedNoise
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import GradientPolicy, sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.losses import dmd_gradient, dmd_loss, flow_loss
from shotstream.training.stage import LossReport, frozen


class DmdSettings(Config):
    """How student and critic take turns, and what tells them apart."""

    guidance: float = Field(default=2.0, ge=0)  # of the real score: uncond + g (cond - uncond), zero captions
    critic_updates: int = Field(default=5, ge=0)  # per update of the student
    critic_warmup: int = Field(default=0, ge=0)  # first updates, the critic's alone
    first_exit: int = Field(default=0, ge=0)  # rollouts end at this step or a later one; steps before it never learn
    context_gradient: bool = True  # do gradients flow through the pass that writes the context cache?
    lowest: float = Field(default=20, ge=0, le=1000)  # timesteps of both scores are clamped to this range
    highest: float = Field(default=980, ge=0, le=1000)


@dataclass(frozen=True)
class Rollout:
    """A shot the student made, and what it was asked for."""

    latents: Tensor  # [B, F, C, h, w]
    context: ContextFrames
    caption: Tensor  # [B, L, D]

    def detached(self) -> Rollout:
        return Rollout(self.latents.detach(), self.context, self.caption)


def check_exits(settings: DmdSettings, steps: int) -> None:
    """Raises :class:`InputError` unless rollouts of ``steps`` steps have one to end at."""
    if settings.first_exit >= steps:
        raise InputError(f"dmd.first_exit: {settings.first_exit}, but the student's steps are 0 to {steps - 1}")


def student_learns(settings: DmdSettings, update: int, turn: int) -> bool:
    """Is ``turn``, a count of updates (plus a clip's shift), the student's? After the warm-up, one in so many is."""
    return update >= settings.critic_warmup and turn % (settings.critic_updates + 1) == 0


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

    seeds: one per sample, so that a picture does not depend on the batch. learning: with gradients, at the exit
    step and, with ``context_gradient``, in the context pass.
    """
    policy = GradientPolicy(exit_step=exit_step, context=learning and context_gradient)
    with nullcontext() if learning else frozen(model):
        # A block can be remembered as its last step left it where there was one, and nothing learns from it.
        last = exit_step == len(preset.student.listed) - 1
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


def score(
    model: Transformer, preset: Preset, made: Rollout, noisy: Tensor, timesteps: Tensor, guidance: float = 1.0
) -> Tensor:
    """The (guided) flow [B, F, C, h, w] a bidirectional network sees in ``noisy`` at ``timesteps`` [B]."""
    branches = Branches(guidance)
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
) -> LossReport:
    """Distribution matching: move the rollout from where the critic sees it to where the guided teacher does."""
    x0 = made.latents
    with torch.no_grad():
        timesteps = draw_times(settings, preset, len(x0), generator)
        noisy = add_noise(x0, torch.randn(x0.shape, generator=generator).to(x0), timesteps)
        real = x0_from_flow(noisy, score(teacher, preset, made, noisy, timesteps, settings.guidance), timesteps)
        fake = x0_from_flow(noisy, score(critic, preset, made, noisy, timesteps), timesteps)
        gradient = dmd_gradient(x0, real, fake)
    figures = {"dmd_gradient": float(gradient.abs().mean()), "real_distance": float((x0.detach() - real).abs().mean())}
    return LossReport(dmd_loss(x0, gradient), len(x0), figures)


def critic_loss(
    made: Rollout, critic: Transformer, preset: Preset, settings: DmdSettings, generator: torch.Generator
) -> LossReport:
    """Unweighted flow matching on what the student makes: the critic's score follows the student's distribution."""
    x0 = made.latents.detach()
    timesteps = draw_times(settings, preset, len(x0), generator)
    noise = torch.randn(x0.shape, generator=generator).to(x0)
    flow = score(critic, preset, made, add_noise(x0, noise, timesteps), timesteps)
    return LossReport(flow_loss(flow, x0, noise), len(x0))


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

    def memory(self) -> list[dict[str, Any]]:
        """The buffer as plain tensors, for a checkpoint."""
        return [
            {
                "latents": made.latents,
                "caption": made.caption,
                "condition": made.context.latents,
                "shot_index": made.context.shot_index,
                "captions": made.context.captions,
                "caption_index": made.context.caption_index,
            }
            for made in self._kept
        ]

    def recall(self, memory: list[dict[str, Any]]) -> None:
        """Take up what :meth:`memory` gave."""
        self._kept = [
            Rollout(
                kept["latents"],
                ContextFrames(
                    latents=kept["condition"],
                    shot_index=kept["shot_index"],
                    captions=kept["captions"],
                    caption_index=kept["caption_index"],
                ),
                kept["caption"],
            )
            for kept in memory
        ]
