"""The teacher in the director's chair: a bidirectional model makes a shot as a whole, and it is shown in blocks.

Axes: f latent frames of one block, C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import POLICIES
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import FinishedShot, to_pictures
from shotstream.sampling.director import Block, ShotDirector, ShotPlan
from shotstream.sampling.rollout import rollout
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import teacher_shot


class TeacherDirector(ShotDirector):
    """Like its parent, for comparison with it. Nothing is seen before the whole shot is denoised: the plan is read
    once, at the start, and a later change of its prompt is not heeded; a cut is, at the next block shown."""

    def __init__(self, model: Transformer, text_encoder: TextEncoder, codec: VideoCodec, preset: Preset) -> None:
        super().__init__(
            model,
            text_encoder,
            codec,
            settings=preset.teacher,
            schedule=preset.schedule,
            policy=POLICIES[preset.context.policy],
            captions=preset.context.captions,
        )
        self.condition_time = preset.condition_time

    @torch.no_grad()
    def shot(
        self, plan: ShotPlan, past: Sequence[FinishedShot] = (), prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the shot of ``plan`` after ``past``. ``prepared`` is of no use to a teacher and is not read."""
        geometry, device = self.codec.geometry, self.model.device
        frames = min(plan.blocks, geometry.max_blocks) * geometry.block_frames
        shot = teacher_shot(
            self.model,
            self.memory.recall(past, plan.prompt).to(device),
            self.text_encoder.encode([plan.prompt]).to(device),
            frames=frames,
            guidance=self.settings.guidance,
            condition_time=self.condition_time,
        )
        shape = (frames, *geometry.latent_shape)
        (latents,) = rollout(shot, self.sampler, plan.noise, blocks=1, block_shape=shape, device=device)
        decoder = self.codec.decoder()
        for index, block in enumerate(latents.split(geometry.block_frames, dim=1)):
            if index < plan.blocks:
                yield Block(index=index, frames=to_pictures(decoder.push(block)[0]), latents=block[0])
