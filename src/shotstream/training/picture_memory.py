"""Next-shot prediction in single pictures: one of every earlier shot of a story, and one of the shot to come.

What there is to remember (who wears what, what stands where) shows in one picture of a shot as well as in all of them.
A sample of pictures costs a fraction of a shot, and there are pictures of many more stories than shots.

Axes: B batch · K earlier shots · C channels · h, w cells · L caption tokens · D text width
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from shotstream.core.context_budget import shares
from shotstream.sampling.context import ContextFrames
from shotstream.training.next_shot_batches import NextShotBatch, NextShotSettings
from shotstream.training.picture_store import PictureStore


def remembered_pictures(
    store: PictureStore, settings: NextShotSettings, draw: random.Random, *, pictures: int, budget: int
) -> tuple[NextShotBatch, Tensor]:
    """A batch with one condition frame of each earlier shot and a target of one latent frame, and the positions
    [B, K + 1] they would have in a whole memory of ``budget`` frames and behind it.

    pictures: about how many latent frames in all; every sample has the same number of earlier shots. Captions and
    memories are dropped, and noise added, as ``settings`` say.
    """
    earlier = draw.randint(1, min(budget, store.longest - 1))
    count = max(1, pictures // (earlier + 1))
    drawn = [store.draw_story(draw, earlier + 1) for _ in range(count)]
    latents, captions = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    generator = torch.Generator().manual_seed(draw.getrandbits(62))
    blind = torch.rand(count, generator=generator) < settings.context_drop
    mute = torch.rand(count, generator=generator) < settings.caption_drop
    captions = captions * ~mute[:, None, None, None]
    noisy = torch.rand(count, generator=generator) < 0.5
    level = settings.context_noise * torch.rand(count, generator=generator) * noisy
    condition = latents[:, :-1]
    condition = condition + _over(level, condition) * torch.randn(condition.shape, generator=generator)
    numbers = torch.arange(earlier).expand(count, -1)
    context = ContextFrames(
        latents=condition * ~_over(blind, condition),
        shot_index=numbers * ~blind[:, None],
        captions=captions[:, :-1],
        caption_index=numbers,
    )
    places = torch.tensor([_places(earlier, budget, draw) for _ in range(count)])
    positions = torch.cat([places, torch.full((count, 1), budget)], dim=1)
    return NextShotBatch(context, captions[:, -1], latents[:, -1:]), positions


def _places(shots: int, budget: int, draw: random.Random) -> list[int]:
    """For each of ``shots`` one of the places that dynamic sampling gives it in a memory of ``budget`` frames."""
    places, first = [], 0
    for share in shares(shots, budget):
        places.append(first + draw.randrange(share))
        first += share
    return places


def _over(samples: Tensor, frames: Tensor) -> Tensor:
    """[B] shaped to broadcast over ``frames`` [B, K, C, h, w]."""
    return samples.reshape(-1, *(1,) * (frames.dim() - 1))
