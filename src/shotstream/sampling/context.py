"""Context: frames of earlier shots become the condition frames of the next one.

Axes: B batch, K condition frames, C channels, h, w latent cells, S captions, W caption tokens, D their width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Protocol

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import (
    PINNED_SHOT,
    ContextFrame,
    ContextPolicy,
    PastShot,
    dynamic_sampling,
    named_references,
)
from shotstream.core.geometry import Geometry
from shotstream.families.preset import ConditionCaptions


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
        return replace(self, latents=self.latents.to(device), captions=self.captions.to(device))


def empty_context(
    captions: Annotated[Tensor, "B W D"], budget: int, latent_shape: tuple[int, int, int]
) -> ContextFrames:
    """What conditions a first shot: ``budget`` zero latents of shot 0 that read the shot's own caption [B, W, D]."""
    zeros = torch.zeros(budget, dtype=torch.long)
    return ContextFrames(
        latents=torch.zeros(len(captions), budget, *latent_shape, device=captions.device),
        shot_index=zeros,
        captions=captions[:, None],
        caption_index=zeros,
    )


class FinishedShot(Protocol):
    """A finished shot that later shots may be conditioned on. Its frames may be on disk: only chosen ones are read."""

    @property
    def index(self) -> int:
        """Its true number in the story, from 0; :data:`PINNED_SHOT` of a reference image."""

    @property
    def prompt(self) -> str:
        """The complete prompt it was made from."""

    @property
    def frame_count(self) -> int:
        """Its length in pixel frames."""

    @property
    def key(self) -> Hashable:
        """Identifies exactly these frames, for as long as the program runs."""

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        """uint8 [len(frames), height, width, 3] RGB."""


class BlankShot:
    """A finished shot that shows nothing but grey. ``key`` tells it from others, whose frames are encoded anew."""

    index = 0
    prompt = "-"

    def __init__(self, geometry: Geometry, key: str = "grey") -> None:
        self.key = key
        self.frame_count = geometry.shot_frames(1)
        self._size = (geometry.height, geometry.width, 3)

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        return np.full((len(frames), *self._size), 128, dtype=np.uint8)


def to_pixels(frames: Annotated[np.ndarray, "N H W 3"]) -> Annotated[Tensor, "N 3 H W"]:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_frames(pixels: Annotated[Tensor, "T 3 H W"]) -> Annotated[np.ndarray, "T H W 3"]:
    """[T, 3, H, W] in [-1, 1] -> uint8 [T, H, W, 3]."""
    scaled = pixels.float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8, memory_format=torch.contiguous_format).cpu().numpy()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenContext:
    """The condition frames that a policy has chosen for a shot, and the captions they read. Nothing is read or encoded
    yet; the shot's context depends on nothing else."""

    past: tuple[FinishedShot, ...]
    frames: tuple[ContextFrame, ...]  # oldest first; none for a first shot
    captions: tuple[str, ...]
    caption_index: tuple[int, ...]  # the caption each frame reads
    lora: tuple[tuple[str, float], ...] = ()  # adapters in the weights that read them, and that make the shot

    @property
    def key(self) -> Hashable:
        """Equal keys mean equal contexts, for as long as the program runs."""
        frames = tuple((self.past[one.shot].index, self.past[one.shot].key, one.frame) for one in self.frames)
        return frames, self.captions, self.caption_index, self.lora


class EncodedFrames:
    """A cache of the last ``kept`` condition frames as latents: a frame is read and encoded when it is first chosen.
    Each is encoded alone, so that the content of the cache changes no bit."""

    def __init__(self, codec: VideoCodec, kept: int) -> None:
        self.codec = codec
        self.kept = kept
        self._latents: OrderedDict[tuple[Hashable, int], Tensor] = OrderedDict()

    def encode(self, shot: FinishedShot, frames: Sequence[int]) -> list[Tensor]:
        """[C, h, w] of each of ``frames`` of ``shot``."""
        new = [frame for frame in dict.fromkeys(frames) if (shot.key, frame) not in self._latents]
        if new:
            for frame, pixels in zip(new, to_pixels(shot.read_frames(new)).split(1), strict=True):
                self._latents[shot.key, frame] = self.codec.encode_images(pixels)[0]
        found = [self._latents[shot.key, frame] for frame in frames]
        for frame in frames:
            self._latents.move_to_end((shot.key, frame))
        while len(self._latents) > self.kept:
            self._latents.popitem(last=False)
        return found


class ContextBuilder:
    """Chooses condition frames by a policy and encodes each as a video of one frame.

    captions: whose caption they read (:class:`shotstream.families.preset.ContextSettings`). kept: how many encoded
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

    def choose(self, past: Sequence[FinishedShot], prompt: str, policy: ContextPolicy | None = None) -> ChosenContext:
        """What conditions the shot ``prompt`` that follows ``past``, by ``policy`` or the usual one. No pixels are
        read.

        Reference images come first in ``past``. Those that the prompt names take the places of the oldest frames
        chosen, as they did in training; of half the budget at most.
        """
        budget, pinned = self.codec.geometry.context_frames, sum(shot.index == PINNED_SHOT for shot in past)
        known = [PastShot(shot.frame_count, shot.prompt) for shot in past[pinned:]]
        named = named_references([shot.prompt for shot in past[:pinned]], prompt, budget // 2)
        made = (policy or self.policy)(known, budget, prompt)[len(named) :]
        frames = (
            *(ContextFrame(one, 0) for one in named),
            *(ContextFrame(pinned + frame.shot, frame.frame) for frame in made),
        )
        used = sorted({frame.shot for frame in frames})
        target = self.captions == "target" or not used
        told = [] if target else [past[shot].prompt for shot in used]
        return ChosenContext(
            past=tuple(past),
            frames=frames,
            captions=(*told, prompt) if target or not made else tuple(told),  # blank frames read the shot's own
            caption_index=tuple(0 if target else used.index(frame.shot) for frame in frames),
        )

    def encode(self, chosen: ChosenContext) -> ContextFrames:
        """The condition frames ``chosen``, read and encoded (B = 1); behind reference images alone, as before a first
        shot, blank ones."""
        geometry, past = self.codec.geometry, chosen.past
        captions = self.text_encoder.encode(chosen.captions)
        if not chosen.frames:
            return empty_context(captions, geometry.context_frames, geometry.latent_shape)
        latents = [
            latent
            for shot in sorted({frame.shot for frame in chosen.frames})
            for latent in self.encoded.encode(past[shot], [one.frame for one in chosen.frames if one.shot == shot])
        ]
        blank = geometry.context_frames - len(latents)
        latents += [torch.zeros_like(latents[0])] * blank
        return ContextFrames(
            latents=torch.stack(latents)[None],
            shot_index=torch.tensor([past[frame.shot].index for frame in chosen.frames] + [0] * blank),
            captions=captions[None],
            caption_index=torch.tensor([*chosen.caption_index, *[len(chosen.captions) - 1] * blank]),
        )
