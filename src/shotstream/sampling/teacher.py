"""Bidirectional next-shot generation: the teacher's and the critic's view of a shot, and films by the teacher.

Axes: B batch, K condition frames, F frames of the new shot, C channels, h, w latent cells, W caption tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.errors import InputError
from shotstream.families.preset import ConditionTime, Preset
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import next_shot
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, ContextFrames, to_frames
from shotstream.sampling.prompts import Branches
from shotstream.sampling.rollout import NoiseSource, ShotFlow, rollout
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest, refuse_nan
from shotstream.sampling.solvers import Sampler
from shotstream.sampling.streaming import StreamingShot


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionChange:
    """What a shot's frames read from some frame on."""

    caption: Tensor  # [B, W, text_dim]
    frame: Tensor  # [B], the first frame of the shot that reads it; its length or more: none does

    def to(self, device: torch.device) -> CaptionChange:
        """The caption on ``device``; the small tensor stays where it is."""
        return CaptionChange(caption=self.caption.to(device), frame=self.frame)

    def branches(self, branches: Branches) -> CaptionChange:
        """The change in both branches of guidance; the second goes on reading the unconditional text."""
        return CaptionChange(caption=branches.captions(self.caption[:, None])[:, 0], frame=branches.latents(self.frame))


def captions_read(
    context: ContextFrames, caption: Tensor, frames: int, change: CaptionChange | None
) -> tuple[Tensor, Tensor]:
    """Captions [B, S, W, text_dim] and which of them the frames of [condition frames | shot] read: [B, K + F], or
    [B, K] where the shot reads the last of them throughout, in one matmul.

    caption: the shot's own, [B, W, text_dim]. frames: F, the shot's length.
    """
    captions, reads = [context.captions, caption[:, None]], context.caption_index.expand(len(caption), -1)
    if change is not None:
        captions.append(change.caption[:, None])
        late = torch.arange(frames) >= change.frame[:, None]
        reads = torch.cat([reads, context.captions.shape[1] + late.long()], dim=1)
    return torch.cat(captions, dim=1), reads


def next_shot_flow(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    latents: Tensor,
    timesteps: Tensor,
    condition_time: ConditionTime,
    positions: Tensor | None = None,
    change: CaptionChange | None = None,
) -> Tensor:
    """Flow [B, F, C, h, w] of a whole shot's ``latents`` from one sequence [condition frames | shot].

    caption: the shot's own, [B, W, text_dim]. timesteps: [B] or [B, F].
    condition_time: "zero", condition frames are at timestep 0 and see only each other; "same", they carry the
    shot's (first) timestep and all frames see all, as in the reference's teacher and score networks.
    positions: [K + F] or [B, K + F], frame positions in the sequence; None counts from 0. change: a caption that
    takes over in mid-shot.
    """
    batch, frames = latents.shape[:2]
    kept = context.frames
    times = timesteps.reshape(batch, -1).expand(batch, frames)
    at_zero = condition_time == "zero"
    condition_times = (torch.zeros_like(times[:, :1]) if at_zero else times[:, :1]).expand(batch, kept)
    new_shot = context.next_shot.expand(*context.shot_index.shape[:-1], frames)
    captions, reads = captions_read(context, caption, frames, change)
    flow = model(
        torch.cat([context.latents, latents], dim=1),
        torch.cat([condition_times, times], dim=1),
        captions,
        caption_index=reads,
        positions=positions,
        shot_index=torch.cat([context.shot_index, new_shot], dim=-1),
        layout=next_shot(kept, frames) if at_zero else None,
    )
    return flow[:, kept:]


class JointShot:
    """A whole shot as one block, condition frames recomputed at every step with the shot's timestep ("same")."""

    def __init__(self, model: Transformer, context: ContextFrames, caption: Tensor, branches: Branches) -> None:
        self.model = model
        self.branches = branches
        self.caption = self.branches.captions(caption)
        self.context = self.branches.context(context)

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """Guided flow of the shot's latents x [B, F, C, h, w]."""
        x = self.branches.latents(x)
        timesteps = torch.full((len(x),), timestep)
        return self.branches.guided(next_shot_flow(self.model, self.context, self.caption, x, timesteps, "same"))

    def finish(self, clean: Tensor) -> None:
        """Nothing follows: the shot is one block."""


def teacher_shot(
    model: Transformer,
    context: ContextFrames,
    caption: Tensor,
    *,
    frames: int,
    guidance: float,
    condition_time: ConditionTime,
    unconditional: Tensor | None = None,
) -> ShotFlow:
    """The shot of ``frames`` latent frames that the bidirectional model is asked for, ready for a solver.

    unconditional: the text [W, text_dim] that guidance leads away from, None for zeros.
    With condition time "zero" the condition frames' keys and values are computed once, here.
    """
    if condition_time == "same":
        return JointShot(model, context, caption, Branches(guidance, unconditional))
    shot = StreamingShot(model, context, max_frames=frames, guidance=guidance, unconditional=unconditional)
    shot.read(caption)
    return shot


def sample_shot(
    shot: ShotFlow,
    sampler: Sampler,
    noise: NoiseSource,
    shape: tuple[int, int, int, int],
    device: torch.device | None = None,
) -> Tensor:
    """Latents [B, F, C, h, w] of a whole shot in one block, on ``device``; ``shape`` is (F, C, h, w)."""
    (latents,) = rollout(shot, sampler, noise, blocks=1, block_shape=shape, device=device)
    return latents


class TeacherGenerator(ShotGenerator):
    """Has the interface of its parent, so that students can be compared with their teacher. A shot is denoised as a
    whole before its first frame is decoded. The prompt is read once, at the start; a cut takes effect at the next
    block that is decoded."""

    def __init__(self, model: Transformer, text_encoder: TextEncoder, codec: VideoCodec, preset: Preset) -> None:
        super().__init__(model, text_encoder, codec, preset, role="teacher")

    @torch.no_grad()
    def shot(
        self, request: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the requested shot. ``prepared`` is ignored."""
        geometry, device = self.codec.geometry, self.model.device
        if request.blocks > geometry.max_blocks:
            raise InputError(
                f"a shot of {geometry.shot_seconds(request.blocks):.2f} s: the teacher makes shots of at most "
                f"{geometry.shot_seconds(geometry.max_blocks):.2f} s; the student makes longer ones"
            )
        frames = request.blocks * geometry.block_frames
        shot = teacher_shot(
            self.model,
            self.context.encode(context).to(device),
            self.text_encoder.encode([request.prompt]).to(device),
            frames=frames,
            guidance=self.settings.guidance,
            condition_time=self.preset.condition_time,
            unconditional=self.prompts.branches.unconditional,
        )
        shape = (frames, *geometry.latent_shape)
        (latents,) = rollout(shot, self.sampler, request.noise, blocks=1, block_shape=shape, device=device)
        decoder = self.codec.decoder()
        for index, block in enumerate(latents.split(geometry.block_frames, dim=1)):
            if index < request.blocks:
                pixels = decoder.push(block)[0]
                refuse_nan(index, block, pixels)
                yield Block(index, to_frames(pixels))
