"""Pictures of one story in one pass, every one of them behind all earlier ones.

A picture behind those of the earlier shots (:meth:`NextShotSampler.remembered_pictures`) spends a pass on its memory to
learn from a single frame. Here a story's pictures stand in the sequence twice, clean and noisy; a noisy one sees itself
and the clean ones before it, so that a pass of 2 P - 1 frames learns from P - 1. Clean ones see only what came before
them, or they would tell: the one thing that is otherwise in a film, where condition frames see each other.

Axes: B stories · P pictures, one a shot · C channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from shotstream.core.flow import add_noise
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import clean_and_noisy
from shotstream.training.losses import flow_loss
from shotstream.training.next_shot_batches import NextShotSettings, a_little_noisy
from shotstream.training.picture_store import PictureStore


@dataclass(frozen=True)
class PictureChain:
    """``remembered``: the ``pictures`` [B, P, C, h, w] as memory shows them, some a little noisy."""

    pictures: Tensor
    remembered: Tensor
    captions: Tensor  # [B, P, L, D]
    positions: Tensor  # [B, P]

    def to(self, device: torch.device) -> PictureChain:
        """All but the positions on ``device``."""
        return PictureChain(
            self.pictures.to(device), self.remembered.to(device), self.captions.to(device), self.positions
        )


def draw_chain(
    store: PictureStore, draw: random.Random, settings: NextShotSettings, frames: int, budget: int
) -> PictureChain:
    """Chains that a pass of about ``frames`` latent frames holds, all of as many pictures: ``budget`` + 1 at most.

    Neighbouring pictures are as far apart as those of neighbouring shots may be in a memory of ``budget`` frames.
    """
    length = draw.randint(2, min(budget + 1, store.longest))
    pictures, remembered, captions, positions = [], [], [], []
    for _ in range(max(1, frames // (2 * length - 1))):
        latents, words = store.draw_story(draw, length)
        pictures.append(latents)
        noisy = draw.random() < 0.5
        remembered.append(a_little_noisy(draw, latents, settings.context_noise) if noisy else latents)
        captions.append(words * (draw.random() >= settings.caption_drop))
        steps = [0, *(draw.randint(1, max(1, budget // (length - 1))) for _ in range(length - 1))]
        positions.append(torch.tensor(steps).cumsum(0))
    return PictureChain(torch.stack(pictures), torch.stack(remembered), torch.stack(captions), torch.stack(positions))


def chain_loss(model: Transformer, chain: PictureChain, timesteps: Tensor, generator: torch.Generator) -> Tensor:
    """The flow's loss of all pictures but the first, at ``timesteps`` [B, P - 1]."""
    targets = chain.pictures[:, 1:]
    noise = torch.randn(targets.shape, generator=generator).to(targets)
    return flow_loss(chain_flow(model, chain, add_noise(targets, noise, timesteps), timesteps), targets, noise)


def chain_flow(model: Transformer, chain: PictureChain, noisy: Tensor, timesteps: Tensor) -> Tensor:
    """Flow [B, P - 1, C, h, w] of ``noisy``, all pictures but the first at ``timesteps`` [B, P - 1]."""
    count, length = chain.pictures.shape[:2]
    shots = torch.cat([torch.arange(length), torch.arange(1, length)])
    return model(
        torch.cat([chain.remembered, noisy], dim=1),
        torch.cat([torch.zeros(count, length), timesteps], dim=1),
        chain.captions,
        caption_index=shots,
        positions=torch.cat([chain.positions, chain.positions[:, 1:]], dim=1),
        shot_index=shots,
        layout=clean_and_noisy(1, length - 1, 1),
    )[:, length:]
