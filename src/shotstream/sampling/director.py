"""The shot director: words in, frames out as they are made.

Axes: f latent frames of one block, C channels, h, w latent cells, t pixel frames, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import StreamDecoder, TextEncoder, VideoCodec
from shotstream.core.context_budget import ContextPolicy, dynamic_sampling
from shotstream.core.flow import FlowSchedule
from shotstream.models.caches import CachePlace
from shotstream.models.presets import ConditionCaptions, SamplerSettings
from shotstream.models.transformer import Transformer
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextMemory, FinishedShot, to_pictures
from shotstream.sampling.noise import NoiseSource
from shotstream.sampling.overlap import one_behind
from shotstream.sampling.prompts import PromptReader, TextOnce
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot

# What is held for the shots to come, in multiples of the context budget.
KEPT_TEXTS, KEPT_FRAMES = 8, 16


OnFirst = Callable[[np.ndarray], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One finished block. ``frames``: uint8 [t, H, W, 3], 9 for a shot's first block of 3, 12 for others."""

    index: int
    frames: np.ndarray
    latents: Tensor  # [f, C, h, w] float32


@dataclass(kw_only=True, slots=True)
class ShotPlan:
    """What a shot shall become. ``prompt`` and ``blocks`` may be changed while it plays; they act at the next block.

    ``on_first``: told the shot's first frame, uint8 [H, W, 3], as soon as it is decoded, before the rest of its block.
    """

    prompt: str
    blocks: int
    noise: NoiseSource
    on_first: OnFirst | None = None

    def cut(self) -> None:
        """End the shot with the block now being made."""
        self.blocks = 0


class ShotDirector:
    """Makes the next shot of a story. Holds no story: the past is given with every call.

    ``fuse``: a block is remembered in the pass that begins the next one (see :class:`StreamingShot`).
    ``run_ahead``: denoise a block while the one before it is decoded. Then a plan acts a block late: for films that
    nobody directs while they are made.
    """

    run_ahead = False

    def __init__(
        self,
        model: Transformer,
        text_encoder: TextEncoder,
        codec: VideoCodec,
        *,
        settings: SamplerSettings,
        schedule: FlowSchedule,
        policy: ContextPolicy = dynamic_sampling,
        captions: ConditionCaptions = "own",
        fuse: bool = True,
        shot_type: type[StreamingShot] = StreamingShot,
        cache_place: CachePlace = "device",
    ) -> None:
        budget = codec.geometry.context_frames
        self.model = model
        self.text_encoder = TextOnce(text_encoder, KEPT_TEXTS * budget)
        self.codec = codec
        self.settings = settings
        self.schedule = schedule
        self.sampler = sampler(settings, schedule)
        self.memory = ContextMemory(codec, self.text_encoder, policy, captions=captions, kept=KEPT_FRAMES * budget)
        self.reader = PromptReader(model, self.text_encoder, Branches(settings.guidance), kept=budget + 2)
        self.fuse = fuse
        self.shot_type = shot_type
        self.cache_place = cache_place
        self._alive: WeakSet[StreamingShot] = WeakSet()

    @property
    def cache_bytes(self) -> int:
        """Bytes of keys and values of every shot that is being made or prepared."""
        return sum(shot.bytes for shot in self._alive)

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        """Recall the past and run the context pass.

        With the paper's policy and captions nothing here depends on ``prompt`` once there is a past: call it as soon
        as the previous shot ends, whatever comes next. A first shot's empty context reads the shot's own prompt.
        """
        geometry = self.codec.geometry
        with torch.no_grad():
            frames, texts = self.memory.recall_texts(past, prompt)
            shot = self.shot_type(
                self.model,
                frames.to(self.model.device),
                max_frames=(self.settings.window or geometry.max_blocks) * geometry.block_frames,
                guidance=self.settings.guidance,
                fuse=self.fuse,
                refresh=self.settings.refresh,
                captions=self.reader.read(texts),
                cache_place=self.cache_place,
            )
        self._alive.add(shot)
        return shot

    def read_ahead(self, prompt: str) -> None:
        """Read a prompt that may be asked for: a person is typing it, or it waits in a queue."""
        self.reader.read_ahead(prompt)

    def shot(
        self, plan: ShotPlan, past: Sequence[FinishedShot] = (), prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the shot of ``plan`` after ``past``, yielding each block decoded, as soon as it is done.

        ``prepared``: from :meth:`prepare` with the same past; it is used up. The whole prompt is in the plan
        (:func:`shotstream.core.story.full_prompt`). Beyond ``geometry.max_blocks`` blocks the shot's window rolls.
        """
        geometry = self.codec.geometry
        shot = prepared or self.prepare(past, plan.prompt)
        prompt = None

        def wanted(block: int) -> bool:
            nonlocal prompt
            if block >= plan.blocks:
                return False
            if plan.prompt != prompt:
                read = shot.read if prompt is None else shot.change
                prompt = plan.prompt
                with torch.no_grad():
                    read(self.reader.read([prompt]))
            return True

        blocks = rollout(
            shot,
            self.sampler,
            plan.noise,
            blocks=wanted,
            block_shape=(geometry.block_frames, *geometry.latent_shape),
            device=self.model.device,
        )
        decode = partial(_decoded, self.codec.decoder(), plan.on_first)
        if self.run_ahead:
            yield from one_behind(decode, enumerate(blocks), first_at_once=True)
        else:
            yield from map(decode, enumerate(blocks))


@torch.no_grad()
def _decoded(decoder: StreamDecoder, on_first: OnFirst | None, made: tuple[int, Tensor]) -> Block:
    """Latents [1, f, C, h, w] of the ``made[0]``-th block as pictures. Raises FloatingPointError for NaN, infinity.

    A shot's first latent frame, which is one picture, is decoded by itself: somebody waits for it.
    """
    index, latents = made
    pieces = [latents] if index or latents.shape[1] == 1 else [latents[:, :1], latents[:, 1:]]
    frames = []
    for piece in pieces:
        pixels = decoder.push(piece)[0]
        # Of pixels their sum is asked: to ask each of them takes a hundred times as long.
        if not (latents.isfinite().all() and pixels.sum().isfinite()):
            raise FloatingPointError(
                f"block {index} came out as NaN or infinity: damaged weights or memory, or too few bits"
            )
        frames.append(to_pictures(pixels))
        if len(frames) < len(pieces) and on_first is not None:
            on_first(frames[0][0])
    return Block(index=index, frames=np.concatenate(frames), latents=latents[0])
