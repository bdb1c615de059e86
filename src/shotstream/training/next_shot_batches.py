"""Batches for next-shot prediction: condition frames of earlier shots, then one shot to be made.

Axes: B batch · K condition frames · F latent frames of the new shot · C channels · h, w cells · S captions · L tokens
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from shotstream.core.config import Config
from shotstream.core.context_budget import POLICIES, PastShot, shares
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.models.presets import Preset
from shotstream.sampling.context import ContextFrames
from shotstream.training.figure_weights import FigureWeights
from shotstream.training.latent_store import LatentStore
from shotstream.training.picture_store import PictureStore


class NextShotSettings(Config):
    """How samples are drawn. Lengths are in latent frames, with the share of updates each gets."""

    batch: int = Field(default=8, gt=0)
    level_cost: bool = False  # ``batch`` of the longest only; of shorter ones as many more as cost the same
    lengths: dict[int, float] = Field(default={3: 0.15, 6: 0.15, 9: 0.6, 15: 0.05, 21: 0.05})
    first_share: float = Field(default=0.2, ge=0, le=1)  # samples that are first shots
    context_drop: float = Field(default=0.05, ge=0, le=1)  # samples whose condition latents and shot numbers are zeroed
    caption_drop: float = Field(default=0.1, ge=0, le=1)  # samples whose captions are zeroed
    context_noise: float = Field(default=0.1, ge=0)  # largest noise on condition frames, in half of the samples

    def samples(self, length: int, kept: int) -> int:
        """How many samples of ``length`` latent frames, each behind ``kept`` condition frames, are an update's part."""
        longest = max(self.lengths) if self.level_cost else length
        return self.batch * (kept + longest) // (kept + length)


@dataclass(frozen=True)
class NextShotBatch:
    """What is remembered, the new shot's own caption [B, L, D], and its true latents ``target`` [B, F, C, h, w].

    ``where`` [B, F, 1, h, w]: how much a loss there counts, 1 on average; None is 1 everywhere.
    """

    context: ContextFrames
    caption: Tensor
    target: Tensor
    where: Tensor | None = None

    def to(self, device: torch.device) -> NextShotBatch:
        """All but the small index tensors on ``device``."""
        where = None if self.where is None else self.where.to(device)
        return NextShotBatch(self.context.to(device), self.caption.to(device), self.target.to(device), where)


class _Sample(NamedTuple):
    condition: Tensor  # [K, C, h, w]
    shots: list[int]  # shot number of every condition frame
    captions: Tensor  # [S, L, D] of the remembered shots
    reads: list[int]  # caption of every condition frame
    caption: Tensor  # [L, D]
    target: Tensor  # [F, C, h, w]


class NextShotSampler:
    """Draws the batch of an update; the same update always gives the same batch."""

    def __init__(
        self,
        store: LatentStore,
        preset: Preset,
        settings: NextShotSettings,
        pictures: PictureStore | None = None,
        figures: FigureWeights | None = None,
    ) -> None:
        """pictures: where single ones come from; None: from the shots of ``store``. figures: what counts in a loss."""
        self._store, self._geometry, self._settings, self._pictures = store, preset.geometry, settings, pictures
        self._context, self._figures = preset.context, figures

    def batch(self, draw: random.Random) -> NextShotBatch:
        """Raises :class:`InputError` if no shot is as long as a length that may be drawn."""
        length = draw.choices(list(self._lengths), list(self._lengths.values()))[0]
        samples, where = [], []
        for _ in range(self._settings.samples(length, self._geometry.context_frames)):
            story, shot = self._choose(draw, length)
            samples.append(self._dropped(draw, self._sample(story, shot, length)))
            if self._figures is not None:
                where.append(self._figures.of(story, shot, length))
        return replace(_batch(samples), where=torch.stack(where) if where else None)

    def of(self, story: int, shot: int, length: int) -> NextShotBatch:
        """A batch of one, nothing dropped: the first ``length`` latent frames of one shot."""
        return _batch([self._sample(story, shot, length)])

    def pictures(self, draw: random.Random, count: int) -> tuple[Tensor, Tensor]:
        """Single latent frames [count, 1, C, h, w] and the captions [count, 1, L, D] of their shots."""
        pictures, captions = [], []
        for _ in range(count):
            picture, caption = self._picture(draw) if self._pictures is None else self._pictures.draw(draw)
            pictures.append(picture)
            captions.append(caption * (draw.random() >= self._settings.caption_drop))
        return torch.stack(pictures)[:, None], torch.stack(captions)[:, None]

    def remembered_pictures(self, draw: random.Random, pictures: int) -> tuple[NextShotBatch, Tensor]:
        """A batch of about ``pictures`` single latent frames: one of each earlier shot, and one of the shot to come.

        What there is to remember (who wears what, what stands where) shows in one picture of a shot as well as in all
        of them, and there are pictures of many more stories than shots. All samples have the same number K of earlier
        shots. Also the positions [B, K + 1] they would have in a whole memory and behind it.
        """
        assert self._pictures is not None  # the recipe asked for them
        budget = self._geometry.context_frames
        earlier = draw.randint(1, min(budget, self._pictures.longest - 1))
        samples, positions = [], []
        for _ in range(max(1, pictures // (earlier + 1))):
            latents, captions = self._pictures.draw_story(draw, earlier + 1)
            numbers = list(range(earlier))
            sample = _Sample(latents[:-1], numbers, captions[:-1], numbers, captions[-1], latents[-1:])
            samples.append(self._dropped(draw, self._captioned(sample)))
            ends = accumulate(shares(earlier, budget))
            places = [
                draw.randrange(end - share, end) for share, end in zip(shares(earlier, budget), ends, strict=True)
            ]
            positions.append([*places, budget])
        return _batch(samples), torch.tensor(positions)

    def _picture(self, draw: random.Random) -> tuple[Tensor, Tensor]:
        story = draw.randrange(self._store.stories)
        shot = self._store.shot(story, draw.randrange(self._store.shots(story)))
        return shot.singles[draw.randrange(len(shot.singles))], shot.caption

    @cached_property
    def _lengths(self) -> dict[int, float]:
        """Lengths that are drawn, and how often. Drawing a shot of one ends, for there are shots that long."""
        firsts, others = 0, 0
        for story in range(self._store.stories):
            firsts = max(firsts, self._store.frames(story, 0))
            others = max([others, *(self._store.frames(story, shot) for shot in range(1, self._store.shots(story)))])
        share, lengths = self._settings.first_share, self._settings.lengths
        longest = min(firsts if share > 0 else others, others if share < 1 else firsts)
        wanted = max((length for length, part in lengths.items() if part > 0), default=0)
        if longest < wanted:
            raise InputError(f"lengths: {wanted} latent frames; the longest shot there is has {longest}")
        return lengths

    def _choose(self, draw: random.Random, length: int) -> tuple[int, int]:
        """A story and one of its shots that is at least ``length`` latent frames long."""
        first = draw.random() < self._settings.first_share
        while True:
            story = draw.randrange(self._store.stories)
            shots = self._store.shots(story)
            shot = 0 if first or shots == 1 else draw.randrange(1, shots)
            if (first or shot) and self._store.frames(story, shot) >= length:
                return story, shot

    def _sample(self, story: int, shot: int, length: int) -> _Sample:
        """One shot of a story, its first ``length`` latent frames, and what is remembered of the others."""
        budget = self._geometry.context_frames
        target = self._store.shot(story, shot)
        latents, caption = target.latents[:length], target.caption
        if shot == 0:
            blank = latents.new_zeros(budget, *self._geometry.latent_shape)
            return _Sample(blank, [0] * budget, caption[None], [0] * budget, caption, latents)
        past = [self._store.shot(story, earlier) for earlier in range(shot)]
        chosen = POLICIES[self._context.policy]([PastShot(one.frames) for one in past], budget, "")
        used = sorted({frame.shot for frame in chosen})
        sample = _Sample(
            condition=torch.stack([past[one.shot].singles[past[one.shot].picked[one.frame]] for one in chosen]),
            shots=[one.shot for one in chosen],
            captions=torch.stack([past[number].caption for number in used]),
            reads=[used.index(one.shot) for one in chosen],
            caption=caption,
            target=latents,
        )
        return self._captioned(sample)

    def _captioned(self, sample: _Sample) -> _Sample:
        """``sample`` with condition frames that read what the preset lets them read."""
        if self._context.captions == "own":
            return sample
        return sample._replace(captions=sample.caption[None], reads=[0] * len(sample.reads))

    def _dropped(self, draw: random.Random, sample: _Sample) -> _Sample:
        """``sample`` with its memory dropped, or a little noisy, and its captions dropped, each part of the time."""
        settings = self._settings
        if draw.random() < settings.context_drop:
            zeros = torch.zeros_like(sample.condition)
            sample = sample._replace(condition=zeros, shots=[0] * len(sample.shots))
        elif bool(sample.condition.any()) and draw.random() < 0.5:
            sample = sample._replace(condition=a_little_noisy(draw, sample.condition, settings.context_noise))
        if draw.random() < settings.caption_drop:
            sample = sample._replace(
                captions=torch.zeros_like(sample.captions), caption=torch.zeros_like(sample.caption)
            )
        return sample


def a_little_noisy(draw: random.Random, latents: Tensor, most: float) -> Tensor:
    """``latents`` with noise of up to ``most`` on all of them."""
    generator = torch.Generator().manual_seed(draw.getrandbits(62))
    noise = torch.randn(latents.shape, generator=generator)
    return latents + most * draw.random() * noise


def check_whole_blocks(lengths: Iterable[int], geometry: Geometry) -> None:
    """Raises :class:`InputError` unless every length (latent frames) is a number of whole blocks a shot can have."""
    for length in lengths:
        blocks, rest = divmod(length, geometry.block_frames)
        if rest or not 1 <= blocks <= geometry.max_blocks:
            raise InputError(
                f"lengths: {length} latent frames; this stage needs whole blocks of {geometry.block_frames}, "
                f"{geometry.max_blocks} at most"
            )


def _batch(samples: Sequence[_Sample]) -> NextShotBatch:
    return NextShotBatch(
        context=ContextFrames(
            latents=torch.stack([sample.condition for sample in samples]),
            shot_index=torch.tensor([sample.shots for sample in samples]),
            captions=pad_sequence([sample.captions for sample in samples], batch_first=True),
            caption_index=torch.tensor([sample.reads for sample in samples]),
        ),
        caption=torch.stack([sample.caption for sample in samples]),
        target=torch.stack([sample.target for sample in samples]),
    )
