"""Context memory: past shots become the condition frames of the next one.

Axes: B batch, K condition frames, C channels, h, w latent cells, S captions, W caption tokens, D their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import ContextPolicy, PastShot, dynamic_sampling


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextFrames:
    """Condition frames, ready for the model. They depend on earlier shots alone, not on the next prompt."""

    latents: Tensor  # [B, K, C, h, w]
    shot_index: Tensor  # [K] or [B, K], true shot numbers (the rotary phase)
    captions: Tensor  # [B, S, W, D]
    caption_index: Tensor  # [K] or [B, K], the caption each frame reads

    @property
    def frames(self) -> int:
        return self.latents.shape[1]

    @property
    def next_shot(self) -> Tensor:
        """[1] or [B, 1]: the number of the shot that follows the last condition frame."""
        return self.shot_index[..., -1:] + 1

    def to(self, device: torch.device) -> ContextFrames:
        """Latents and captions on ``device``; the small index tensors stay where they are."""
        return ContextFrames(
            latents=self.latents.to(device),
            shot_index=self.shot_index,
            captions=self.captions.to(device),
            caption_index=self.caption_index,
        )


def empty_context(captions: Tensor, budget: int, latent_shape: tuple[int, int, int]) -> ContextFrames:
    """What conditions a first shot: ``budget`` zero latents of shot 0 that read the shot's own caption [B, W, D]."""
    zeros = torch.zeros(budget, dtype=torch.long)
    return ContextFrames(
        latents=torch.zeros(len(captions), budget, *latent_shape, device=captions.device),
        shot_index=zeros,
        captions=captions[:, None],
        caption_index=zeros,
    )


class FinishedShot(Protocol):
    """A shot that can be remembered. Its frames may live on disk: only the chosen ones are read."""

    @property
    def index(self) -> int:
        """Its true number in the story, from 0."""

    @property
    def prompt(self) -> str:
        """The whole text it was made from."""

    @property
    def frame_count(self) -> int:
        """Its length in pixel frames."""

    def pictures(self, frames: Sequence[int]) -> np.ndarray:
        """uint8 [len(frames), height, width, 3]."""


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pictures(pixels: Tensor) -> np.ndarray:
    """[T, 3, H, W] in [-1, 1] -> uint8 [T, H, W, 3]."""
    levels = pixels.float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


class ContextMemory:
    """Builds condition frames by a policy: chosen frames, each encoded as a video of one frame."""

    def __init__(self, codec: VideoCodec, text_encoder: TextEncoder, policy: ContextPolicy = dynamic_sampling) -> None:
        self.codec = codec
        self.text_encoder = text_encoder
        self.policy = policy

    def recall(self, past: Sequence[FinishedShot], prompt: str) -> ContextFrames:
        """Condition frames for the shot ``prompt`` that follows ``past`` (B = 1)."""
        geometry = self.codec.geometry
        known = [PastShot(shot.frame_count, shot.prompt) for shot in past]
        chosen = self.policy(known, geometry.context_frames, prompt)
        if not chosen:
            return empty_context(self.text_encoder.encode([prompt]), geometry.context_frames, geometry.latent_shape)
        used = sorted({frame.shot for frame in chosen})
        pictures = [past[shot].pictures([frame.frame for frame in chosen if frame.shot == shot]) for shot in used]
        return ContextFrames(
            latents=self.codec.encode_images(to_pixels(np.concatenate(pictures)))[None],
            shot_index=torch.tensor([past[frame.shot].index for frame in chosen]),
            captions=self.text_encoder.encode([past[shot].prompt for shot in used])[None],
            caption_index=torch.tensor([used.index(frame.shot) for frame in chosen]),
        )
