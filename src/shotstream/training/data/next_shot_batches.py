"""Batches for next-shot prediction: condition frames of earlier shots, then one shot to be made.

Axes: B batch · K condition frames · F latent frames of the new shot · C channels · h, w cells · S captions · L tokens
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from shotstream.core.config import Config
from shotstream.core.context_budget import PINNED_SHOT, POLICIES, PastShot, shares
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.teacher import CaptionChange
from shotstream.training.data.latent_store import ClipLengths, LatentStore, ListedLengths, ShotDraws
from shotstream.training.data.picture_store import PictureStore
from shotstream.training.data.story_sources import CharacterWeights


class NextShotSettings(Config):
    """How samples are drawn. Lengths are in latent frames, with the share of updates each gets."""

    batch: int = Field(default=8, gt=0)
    level_cost: bool = False  # ``batch`` of the longest only; of shorter ones as many more as cost the same
    # "clips": those the shots have, as often as they have them; a batch is of shots of one length.
    lengths: dict[int, float] | Literal["clips"] = Field(default={3: 0.15, 6: 0.15, 9: 0.6, 15: 0.05, 21: 0.05})
    first_share: float = Field(default=0.2, ge=0, le=1)  # samples that are first shots
    context_drop: float = Field(default=0.05, ge=0, le=1)  # samples whose condition latents and shot numbers are zeroed
    caption_drop: float = Field(default=0.1, ge=0, le=1)  # samples whose captions are zeroed
    context_noise: float = Field(default=0.1, ge=0)  # largest noise on condition frames, in half of the samples
    pinned_share: float = Field(default=0, ge=0, le=1)  # samples that hold a pinned picture in their context
    gap_share: float = Field(default=0, ge=0, le=1)  # samples whose shots are some of a story of ``gap_shots``
    gap_shots: int = Field(default=48, gt=1)

    def longest(self, geometry: Geometry) -> int:
        """Latent frames of the longest sample there can be."""
        return geometry.max_blocks * geometry.block_frames if self.lengths == "clips" else max(self.lengths)

    def mean_frames(self, geometry: Geometry) -> float:
        """Latent frames of a sample, in updates of ``batch``; of clips, whose lengths nobody knows, the longest."""
        return self.longest(geometry) if self.level_cost or self.lengths == "clips" else mean_length(self.lengths)

    def samples(self, length: int, geometry: Geometry) -> int:
        """How many samples of ``length`` latent frames are an update's part."""
        kept, longest = geometry.context_frames, self.longest(geometry) if self.level_cost else length
        return self.batch * (kept + longest) // (kept + length)


@dataclass(frozen=True)
class NextShotBatch:
    """The context, the new shot's own caption [B, L, D], and its true latents ``target`` [B, F, C, h, w].

    ``where`` [B, F, 1, h, w]: how much a loss there counts, 1 on average; None is 1 everywhere. ``shots``: the story
    and the shot of every sample.
    """

    context: ContextFrames
    caption: Tensor
    target: Tensor
    where: Tensor | None = None
    change: CaptionChange | None = None
    shots: tuple[tuple[int, int], ...] = ()

    def to(self, device: torch.device) -> NextShotBatch:
        """All but the small index tensors on ``device``."""
        where = None if self.where is None else self.where.to(device)
        change = None if self.change is None else self.change.to(device)
        context, caption, target = self.context.to(device), self.caption.to(device), self.target.to(device)
        return NextShotBatch(context, caption, target, where, change, self.shots)


class _Sample(NamedTuple):
    condition: Tensor  # [K, C, h, w]
    shots: list[int]  # shot number of every condition frame
    captions: Tensor  # [S, L, D] of the shots in the context
    reads: list[int]  # caption of every condition frame
    caption: Tensor  # [L, D]
    target: Tensor  # [F, C, h, w]
    changed: Tensor | None = None  # [L, D], read from frame ``change`` on
    change: int = 0


class NextShotSampler:
    """Draws the batch of an update; the same update always gives the same batch."""

    def __init__(
        self,
        store: LatentStore,
        preset: Preset,
        settings: NextShotSettings,
        pictures: PictureStore | None = None,
        weights: CharacterWeights | None = None,
        *,
        changes: bool = False,
        multiple: int = 1,
        shortest: int = 1,
    ) -> None:
        """pictures: where single ones come from; None: from the shots of ``store``. weights: what counts in a loss.
        changes: may a caption change within a sample? Else shots are cut off before theirs does.
        multiple, shortest: where lengths are those of the clips, see :class:`ClipLengths`."""
        self._changes, self._multiple, self._shortest = changes, multiple, shortest
        self._store, self._geometry, self._settings, self._pictures = store, preset.geometry, settings, pictures
        self._context, self._weights = preset.context, weights

    def batch(self, draw: random.Random) -> NextShotBatch:
        """Raises :class:`InputError` if no shot is as long as a length that may be drawn."""
        length = self._draws.length(draw)
        samples, where, shots = [], [], []
        for _ in range(self._settings.samples(length, self._geometry)):
            story, shot = self._draws.shot(draw, length)
            sample = self._spread(draw, self._sample(story, shot, length))
            samples.append(self._dropped(draw, self._with_pinned(draw, story, sample)))
            shots.append((story, shot))
            if self._weights is not None:
                where.append(self._weights.of(story, shot, length))
        return replace(_batch(samples), where=torch.stack(where) if where else None, shots=tuple(shots))

    @property
    def mean_samples(self) -> float:
        """Samples of an update's part, on average."""
        shares = self._draws.shares
        counts = {length: self._settings.samples(length, self._geometry) for length in shares}
        return sum(part * counts[length] for length, part in shares.items()) / sum(shares.values())

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

    def context_pictures(self, draw: random.Random, pictures: int) -> tuple[NextShotBatch, Tensor]:
        """A batch of about ``pictures`` single latent frames: one of each earlier shot, and one of the shot to come.

        What a shot must take from its context (who wears what, what stands where) shows in one picture of a shot as
        well as in all of them, and there are pictures of many more stories than shots. All samples have the same number
        K of earlier shots. Also the positions [B, K + 1] they would have in a whole context and behind it.
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

    def learnt(self, shots: float, pictures: float, seen: float) -> None:
        """Draw on: after so many samples show others, so that each is learnt from ``seen`` times on average."""
        self._store.learnt(shots, seen)
        if self._pictures is not None:
            self._pictures.learnt(pictures, seen)

    def _picture(self, draw: random.Random) -> tuple[Tensor, Tensor]:
        story = draw.choice(self._store.shown)
        shot = self._store.shot(story, draw.randrange(self._store.shots(story)))
        until = shot.frames if shot.change is None else self._geometry.pixel_frames(shot.change)
        told = [place for frame, place in shot.picked.items() if frame < until]
        return shot.singles[draw.choice(told)], shot.caption

    @cached_property
    def _draws(self) -> ShotDraws:
        store, settings = self._store, self._settings
        if settings.lengths == "clips":
            share, multiple, shortest = settings.first_share, self._multiple, self._shortest
            return ClipLengths(store, self._room, share, multiple=multiple, shortest=shortest)
        return ListedLengths(store, self._room, settings.first_share, settings.lengths)

    def _room(self, story: int, shot: int) -> int:
        """How many latent frames of a shot a sample may have."""
        change = None if self._changes else self._store.change(story, shot)
        return self._store.frames(story, shot) if change is None else change

    def _sample(self, story: int, shot: int, length: int) -> _Sample:
        """One shot of a story, its first ``length`` latent frames, and the context it has from the others."""
        budget = self._geometry.context_frames
        target = self._store.shot(story, shot)
        latents, caption = target.latents[:length], target.caption
        changed, change = (None, 0) if target.change is None else (target.changed, target.change)
        if shot == 0:
            blank = latents.new_zeros(budget, *self._geometry.latent_shape)
            first = _Sample(blank, [0] * budget, caption[None], [0] * budget, caption, latents)
            return first._replace(changed=changed, change=change)
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
            changed=changed,
            change=change,
        )
        return self._captioned(sample)

    def _captioned(self, sample: _Sample) -> _Sample:
        """``sample`` with condition frames that read what the preset lets them read."""
        if self._context.captions == "own":
            return sample
        return sample._replace(captions=sample.caption[None], reads=[0] * len(sample.reads))

    def _spread(self, draw: random.Random, sample: _Sample) -> _Sample:
        """``sample`` with the shot numbers of a longer story, of which its shots are some; part of the time."""
        settings, known = self._settings, sorted(set(sample.shots))
        if not sample.condition.any() or not settings.gap_share or draw.random() >= settings.gap_share:
            return sample
        numbers = dict(zip(known, sorted(draw.sample(range(settings.gap_shots - 1), len(known))), strict=True))
        return sample._replace(shots=[numbers[shot] for shot in sample.shots])

    def _with_pinned(self, draw: random.Random, story: int, sample: _Sample) -> _Sample:
        """``sample`` with a pinned picture in the place of its oldest condition frame; part of the time."""
        if not self._settings.pinned_share or draw.random() >= self._settings.pinned_share:
            return sample
        pictures, captions = self._store.pinned(story)
        if not len(pictures):
            return sample
        one = draw.randrange(len(pictures))
        own = self._context.captions == "own"
        return sample._replace(
            condition=torch.cat([pictures[one, None], sample.condition[1:]]),
            shots=[PINNED_SHOT, *sample.shots[1:]],
            captions=torch.cat([sample.captions, captions[one, None]]) if own else sample.captions,
            reads=[len(sample.captions) if own else 0, *sample.reads[1:]],
        )

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
                captions=torch.zeros_like(sample.captions),
                caption=torch.zeros_like(sample.caption),
                changed=None,
            )
        return sample


def a_little_noisy(draw: random.Random, latents: Tensor, most: float) -> Tensor:
    """``latents`` with noise of up to ``most`` on all of them."""
    generator = torch.Generator().manual_seed(draw.getrandbits(62))
    noise = torch.randn(latents.shape, generator=generator)
    return latents + most * draw.random() * noise


def mean_length(lengths: Mapping[int, float]) -> float:
    """The mean of ``lengths``, each as often as its share says."""
    return sum(length * share for length, share in lengths.items()) / sum(lengths.values())


def check_whole_blocks(lengths: Iterable[int] | Literal["clips"], geometry: Geometry) -> None:
    """Raises :class:`InputError` unless every length (latent frames) is a number of whole blocks a shot can have."""
    for length in () if lengths == "clips" else lengths:
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
        change=_change(samples),
    )


def _change(samples: Sequence[_Sample]) -> CaptionChange | None:
    """The captions that take over within the samples; None where all read one."""
    frames = [
        len(sample.target) if sample.changed is None else min(sample.change, len(sample.target)) for sample in samples
    ]
    if all(frame == len(sample.target) for frame, sample in zip(frames, samples, strict=True)):
        return None
    captions = [sample.caption if sample.changed is None else sample.changed for sample in samples]
    return CaptionChange(caption=torch.stack(captions), frame=torch.tensor(frames))
