"""The shot director: words in, frames out as they are made.

Axes: f latent frames of one block, C channels, h, w latent cells, t pixel frames, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import ContextPolicy, dynamic_sampling
from shotstream.core.flow import FlowSchedule
from shotstream.models.presets import SamplerSettings
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextMemory, FinishedShot, to_pictures
from shotstream.sampling.noise import NoiseSource
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One finished block. ``frames``: uint8 [t, H, W, 3], 9 for a shot's first block of 3, 12 for others."""

    index: int
    frames: np.ndarray
    latents: Tensor  # [f, C, h, w] float32


@dataclass(kw_only=True, slots=True)
class ShotPlan:
    """What a shot shall become. ``prompt`` and ``blocks`` may be changed while it plays; they act at the next block."""

    prompt: str
    blocks: int
    noise: NoiseSource

    def cut(self) -> None:
        """End the shot with the block now being made."""
        self.blocks = 0


class ShotDirector:
    """Makes the next shot of a story. Holds no story: the past is given with every call."""

    def __init__(
        self,
        model: Transformer,
        text_encoder: TextEncoder,
        codec: VideoCodec,
        *,
        settings: SamplerSettings,
        schedule: FlowSchedule,
        policy: ContextPolicy = dynamic_sampling,
        fuse: bool = False,
    ) -> None:
        self.model = model
        self.text_encoder = text_encoder
        self.codec = codec
        self.settings = settings
        self.sampler = sampler(settings, schedule)
        self.memory = ContextMemory(codec, text_encoder, policy)
        self.fuse = fuse

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        """Recall the past and run the context pass.

        With the paper's policy nothing here depends on ``prompt`` once there is a past: call it as soon as the
        previous shot ends, whatever comes next. A first shot's empty context reads the shot's own prompt.
        """
        geometry = self.codec.geometry
        with torch.no_grad():
            return StreamingShot(
                self.model,
                self.memory.recall(past, prompt).to(self.model.device),
                max_frames=geometry.max_blocks * geometry.block_frames,
                guidance=self.settings.guidance,
                fuse=self.fuse,
            )

    def shot(
        self, plan: ShotPlan, past: Sequence[FinishedShot] = (), prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the shot of ``plan`` after ``past``, yielding each block decoded, as soon as it is done.

        ``prepared``: from :meth:`prepare` with the same past; it is used up. The whole prompt is in the plan
        (:func:`full_prompt`). Beyond ``geometry.max_blocks`` blocks the shot's window rolls.
        """
        geometry = self.codec.geometry
        shot = prepared or self.prepare(past, plan.prompt)
        decoder = self.codec.decoder()
        prompt = None

        def wanted(block: int) -> bool:
            nonlocal prompt
            if block >= plan.blocks:
                return False
            if plan.prompt != prompt:
                read = shot.read if prompt is None else shot.change
                prompt = plan.prompt
                with torch.no_grad():
                    read(self.text_encoder.encode([prompt]).to(self.model.device))
            return True

        blocks = rollout(
            shot,
            self.sampler,
            plan.noise,
            blocks=wanted,
            block_shape=(geometry.block_frames, *geometry.latent_shape),
            device=self.model.device,
        )
        for index, latents in enumerate(blocks):
            with torch.no_grad():
                pixels = decoder.push(latents)
            yield Block(index=index, frames=to_pictures(pixels[0]), latents=latents[0])


def full_prompt(global_caption: str, caption: str) -> str:
    """What the model reads for one shot."""
    return f"{global_caption} {caption}"
