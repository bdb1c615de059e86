"""Context memory: past shots become the condition frames of the next one.

Axes: B batch, K condition frames, C channels, h, w latent cells, S captions, W caption tokens, D their width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import ContextFrame, ContextPolicy, PastShot, dynamic_sampling
from shotstream.models.presets import ConditionCaptions


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

    @property
    def key(self) -> Hashable:
        """Names these pictures and no others, for as long as the program runs."""

    def pictures(self, frames: Sequence[int]) -> np.ndarray:
        """uint8 [len(frames), height, width, 3]."""


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pictures(pixels: Tensor) -> np.ndarray:
    """[T, 3, H, W] in [-1, 1] -> uint8 [T, H, W, 3]."""
    levels = pixels.float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return levels.permute(0, 2, 3, 1).to(torch.uint8, memory_format=torch.contiguous_format).cpu().numpy()


class EncodedFrames:
    """Condition frames as latents, the last ``kept`` of them at hand: a frame is read and encoded when it is first
    remembered, and no more. Each is encoded alone, so that what was encoded before changes no bit."""

    def __init__(self, codec: VideoCodec, kept: int) -> None:
        self.codec = codec
        self.kept = kept
        self._latents: OrderedDict[tuple[Hashable, int], Tensor] = OrderedDict()

    def encode(self, shot: FinishedShot, frames: Sequence[int]) -> list[Tensor]:
        """[C, h, w] of each of ``frames`` of ``shot``."""
        new = [frame for frame in dict.fromkeys(frames) if (shot.key, frame) not in self._latents]
        if new:
            for frame, picture in zip(new, to_pixels(shot.pictures(new)).split(1), strict=True):
                self._latents[shot.key, frame] = self.codec.encode_images(picture)[0]
        found = [self._latents[shot.key, frame] for frame in frames]
        for frame in frames:
            self._latents.move_to_end((shot.key, frame))
        while len(self._latents) > self.kept:
            self._latents.popitem(last=False)
        return found


class ContextMemory:
    """Builds condition frames by a policy: chosen frames, each encoded as a video of one frame.

    captions: whose caption they read (:class:`shotstream.models.presets.ContextSettings`). kept: how many encoded
    frames are held for the shots to come.
    """

    def __init__(
        self,
        codec: VideoCodec,
        text_encoder: TextEncoder,
        policy: ContextPolicy = dynamic_sampling,
        *,
        captions: ConditionCaptions = "own",
        kept: int = 0,
    ) -> None:
        self.codec = codec
        self.text_encoder = text_encoder
        self.policy = policy
        self.captions = captions
        self.encoded = EncodedFrames(codec, kept)

    def choose(self, past: Sequence[FinishedShot], prompt: str) -> tuple[ContextFrame, ...]:
        """Which frames of ``past`` condition the shot ``prompt``, oldest first; none for a first shot."""
        known = [PastShot(shot.frame_count, shot.prompt) for shot in past]
        return self.policy(known, self.codec.geometry.context_frames, prompt)

    def recall(self, past: Sequence[FinishedShot], prompt: str) -> ContextFrames:
        """Condition frames for the shot ``prompt`` that follows ``past`` (B = 1)."""
        return self.recall_texts(past, prompt)[0]

    def recall_texts(self, past: Sequence[FinishedShot], prompt: str) -> tuple[ContextFrames, list[str]]:
        """:meth:`recall`, and the texts that its captions stand for, in order."""
        geometry = self.codec.geometry
        chosen = self.choose(past, prompt)
        used = sorted({frame.shot for frame in chosen})
        target = self.captions == "target" or not used
        texts = [prompt] if target else [past[shot].prompt for shot in used]
        captions = self.text_encoder.encode(texts)
        if not chosen:
            return empty_context(captions, geometry.context_frames, geometry.latent_shape), texts
        latents = [
            latent
            for shot in used
            for latent in self.encoded.encode(past[shot], [frame.frame for frame in chosen if frame.shot == shot])
        ]
        frames = ContextFrames(
            latents=torch.stack(latents)[None],
            shot_index=torch.tensor([past[frame.shot].index for frame in chosen]),
            captions=captions[None],
            caption_index=torch.tensor([0 if target else used.index(frame.shot) for frame in chosen]),
        )
        return frames, texts
