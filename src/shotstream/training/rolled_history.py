"""The shots a student has made of a batch of stories, remembered as a film would remember them: as pictures.

Axes: B stories · K condition frames · P kept pictures · T pixel frames · F latent frames · C channels · h, w cells ·
L caption tokens · D text width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shotstream.codecs.protocols import VideoCodec
from shotstream.core.context_budget import POLICIES, PastShot
from shotstream.models.presets import ContextSettings
from shotstream.sampling.context import ContextFrames, empty_context, to_pictures, to_pixels
from shotstream.training.latent_store import pickable_frames


@dataclass(frozen=True)
class _MadeShot:
    frames: int  # pixel frames
    pictures: Tensor  # uint8 [B, P, H, W, 3]: the frames that dynamic sampling could pick
    caption: Tensor  # [B, L, D]


class RolledHistory:
    """Earlier shots of B stories that advance together; every shot has the same length in all of them."""

    def __init__(self, codec: VideoCodec, settings: ContextSettings) -> None:
        self._codec, self._settings = codec, settings
        self._shots: list[_MadeShot] = []

    def __len__(self) -> int:
        return len(self._shots)

    def add(self, latents: Tensor, caption: Tensor) -> None:
        """Decode a finished shot [B, F, C, h, w] made from ``caption`` [B, L, D], and remember it."""
        geometry = self._codec.geometry
        frames = geometry.pixel_frames(latents.shape[1])
        picks = pickable_frames(frames, geometry.context_frames)
        videos = self._codec.decode(latents.detach().cpu())  # a codec may live elsewhere than the model
        pictures = torch.stack([torch.from_numpy(to_pictures(video[picks])) for video in videos])
        self._shots.append(_MadeShot(frames, pictures, caption.detach()))

    def context(self, caption: Tensor) -> ContextFrames:
        """What conditions the next shot; ``caption`` is its own (a first shot's zeros read it)."""
        geometry = self._codec.geometry
        budget = geometry.context_frames
        chosen = POLICIES[self._settings.policy]([PastShot(shot.frames) for shot in self._shots], budget, "")
        if not chosen:
            return empty_context(caption, budget, geometry.latent_shape)
        used = sorted({frame.shot for frame in chosen})
        pictures = torch.stack(
            [
                self._shots[one.shot].pictures[
                    :, pickable_frames(self._shots[one.shot].frames, budget).index(one.frame)
                ]
                for one in chosen
            ],
            dim=1,
        )
        target = self._settings.captions == "target"
        captions = [caption] if target else [self._shots[number].caption for number in used]
        latents = self._codec.encode_images(to_pixels(pictures.flatten(0, 1).numpy()))
        return ContextFrames(
            latents=latents.unflatten(0, pictures.shape[:2]),
            shot_index=torch.tensor([one.shot for one in chosen]),
            captions=torch.stack(captions, dim=1),
            caption_index=torch.tensor([0 if target else used.index(one.shot) for one in chosen]),
        )

    def memory(self) -> list[dict[str, Any]]:
        """The shots as plain tensors, for a checkpoint."""
        return [{"frames": shot.frames, "pictures": shot.pictures, "caption": shot.caption} for shot in self._shots]

    def recall(self, memory: list[dict[str, Any]]) -> None:
        """Take up what :meth:`memory` gave."""
        self._shots = [_MadeShot(**shot) for shot in memory]
