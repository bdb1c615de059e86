"""The shot generator: a prompt and earlier shots in, frames out as they are made.

Axes: f latent frames of one block, C channels, h, w latent cells, t pixel frames, H, W pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from shotstream.codecs.protocols import StreamDecoder, TextEncoder, VideoCodec
from shotstream.core.context_budget import POLICIES
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.caches import CachePlace
from shotstream.models.transformer import Transformer
from shotstream.sampling.block import Block
from shotstream.sampling.block_graphs import GraphedSampler, GraphedShot, Recorder, StaticCaches
from shotstream.sampling.context import BlankShot, ChosenContext, ContextBuilder, to_frames
from shotstream.sampling.layer_runners import CompiledPasses, Compiler, SharedPasses, SharedShot
from shotstream.sampling.overlap import FreeCores, Streams, decoded_aside, marked, one_behind
from shotstream.sampling.prompts import Blend, Branches, CachedTextEncoder, PromptCache
from shotstream.sampling.rollout import NamedNoise, NoiseAhead, NoiseSource, rollout
from shotstream.sampling.solvers import NEVER, Draw, Flow, GradientPolicy, sampler
from shotstream.sampling.streaming import StreamingShot

# How many encoded captions and frames are cached for later shots, in multiples of the context budget.
KEPT_TEXTS, KEPT_FRAMES = 8, 16
WARM_UP = ("A fox.", "It walks.")  # global caption and caption of a shot that is not looked at


Role = Literal["student", "teacher"]
OnFirst = Callable[[np.ndarray], None]


@dataclass(kw_only=True, slots=True)
class ShotRequest:
    """A shot to be made. ``prompt``, ``blend`` and ``blocks`` may be changed while it runs; changes take effect at the
    next block.

    ``prompt``: global caption and caption, joined as the preset says. ``blend``: the prompt it is taking over from, if
    it is. ``on_first``: called with the shot's first frame, uint8 [H, W, 3], before the rest of its block is decoded.
    """

    prompt: str
    blocks: int
    noise: NoiseSource
    blend: Blend | None = None
    on_first: OnFirst | None = None

    def cut(self) -> None:
        """End the shot with the block that is being made."""
        self.blocks = 0


class ShotGenerator:
    """Generates the next shot of a story. It keeps no story: what conditions a shot is given with every call.

    ``preset``: the sampler of ``role``, the schedule, the context policy, the negative prompt.
    ``fuse``: write a block into the shot cache in the pass that begins the next one (see :class:`StreamingShot`).
    ``run_ahead``: denoise a block while the one before it is decoded. Changes of a request then take effect one block
    later, so this is for films that nobody directs while they are made.
    """

    run_ahead = False

    def __init__(
        self,
        model: Transformer,
        text_encoder: TextEncoder,
        codec: VideoCodec,
        preset: Preset,
        *,
        role: Role = "student",
        fuse: bool = True,
        shot_type: type[StreamingShot] = StreamingShot,
        cache_place: CachePlace = "device",
    ) -> None:
        budget = codec.geometry.context_frames
        self.model = model
        self.text_encoder = CachedTextEncoder(text_encoder, KEPT_TEXTS * budget)
        self.codec = codec
        self.preset = preset
        self.role: Role = role
        self._noise_thread: ThreadPoolExecutor | None = None
        self._streams: Streams | None = None
        self.sampler = sampler(self.settings, preset.schedule)
        self.context = ContextBuilder(
            codec,
            self.text_encoder,
            POLICIES[preset.context.policy],
            captions=preset.context.captions,
            kept=KEPT_FRAMES * budget,
        )
        self.prompts = PromptCache(model, self.text_encoder, self._branches(), kept=budget + 2)
        self.fuse = fuse
        self.shot_type = shot_type
        self.cache_place = cache_place
        self._alive: WeakSet[StreamingShot] = WeakSet()
        self._cores = FreeCores() if model.device.type == "cpu" else None

    @property
    def settings(self) -> SamplerSettings:
        """Sampler settings of the role."""
        return self.preset.student if self.role == "student" else self.preset.teacher

    def sample_by(self, settings: SamplerSettings) -> None:
        """Sample by ``settings`` from the next block on; other fields of theirs count from the next shot on."""
        self.preset = self.preset.model_copy(update={self.role: settings})
        own = sampler(settings, self.preset.schedule)
        self.sampler = GraphedSampler(own, settings) if issubclass(self.shot_type, GraphedShot) else own

    def record_blocks(self, recorder: Recorder) -> None:
        """From the next shot on, a block's passes are recorded once per shape and replayed."""
        self.shot_type = type("GraphedShot", (GraphedShot, self.shot_type), {"static_caches": StaticCaches(recorder)})
        self._cores = None
        self.sampler = GraphedSampler(self.sampler, self.settings)

    def compile_passes(self, compiler: Compiler) -> None:
        """From the next shot on, layers are compiled once per shape of pass. The weights stay those of the model."""
        self.read_by(self.model.compiled_by(CompiledPasses(compiler)))

    def share_passes(self) -> None:
        """From the next shot on, do this process's share of every pass (:class:`SharedPasses`); all processes must make
        the same shots."""
        shared = copy.copy(self.model)
        shared.run_layers_by(SharedPasses(self.model.config, self.codec.geometry.tokens_per_frame))
        self.read_by(shared)
        self.shot_type = type("SharedShot", (SharedShot, self.shot_type), {})

    def read_by(self, model: Transformer) -> None:
        """Generate by another ``model`` of the same sizes from the next shot on."""
        self.model = model
        self.prompts = PromptCache(model, self.text_encoder, self.prompts.branches, kept=self.prompts.kept)

    def warm_up(self) -> None:
        """Make a whole shot that nobody sees, so that whatever is done once per shape of pass is done."""
        geometry = self.codec.geometry
        prompt = self.preset.prompt(*WARM_UP, 1)
        context = self.context.choose([BlankShot(geometry)], prompt)
        request = ShotRequest(prompt=prompt, blocks=geometry.max_blocks, noise=NamedNoise(0, shot=1))
        for _ in self.latents(request, self.prepare(context)):
            pass

    def draw_ahead(self) -> None:
        """From the next shot on, a block's noise is drawn while the one before it is made."""
        self._noise_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="noise")

    def decode_aside(self, streams: Streams) -> None:
        """From the next shot on, run ahead, and decode on a stream beside the one that denoises."""
        self.run_ahead, self._streams = True, streams

    def _sample(self, flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER) -> Tensor:
        """By whichever sampler is in use when a block begins."""
        return self.sampler(flow if self._cores is None else self._cores.before(flow), draw, gradient)

    def _branches(self) -> Branches:
        guidance, negative = self.settings.guidance, self.preset.negative_prompt
        if guidance == 1 or negative is None:
            return Branches(guidance)
        return Branches(guidance, self.text_encoder.encode([negative])[0].to(self.model.device))

    @property
    def cache_bytes(self) -> int:
        """Bytes in the KV caches of all shots that are being made or prepared."""
        return sum(shot.bytes for shot in self._alive)

    def prepare(self, context: ChosenContext) -> StreamingShot:
        """Encode the condition frames and fill the context cache.

        With the paper's policy and captions a context does not depend on the shot's prompt, except for a story's first
        shot, whose empty context reads it. So this can be called as soon as the previous shot has ended.
        """
        geometry = self.codec.geometry
        if self._cores is not None:
            self._cores.fit()
        with torch.no_grad():
            shot = self.shot_type(
                self.model,
                self.context.encode(context).to(self.model.device),
                max_frames=(self.settings.window or geometry.max_blocks) * geometry.block_frames,
                guidance=self.settings.guidance,
                unconditional=self.prompts.branches.unconditional,
                fuse=self.fuse,
                refresh=self.settings.refresh,
                captions=self.prompts.read(context.captions),
                cache_place=self.cache_place,
            )
        self._alive.add(shot)
        return shot

    def read_ahead(self, prompt: str) -> None:
        """Encode a prompt that may come next: somebody is typing it, or it waits in a queue."""
        self.prompts.read_ahead(prompt)

    def shot(
        self, request: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the requested shot, yielding each block decoded, as soon as it is done.

        context: from ``self.context.choose``. prepared: from :meth:`prepare` with an equal context; it is used up.
        Beyond ``geometry.max_blocks`` blocks the shot's window rolls.
        """
        blocks = self.latents(request, prepared or self.prepare(context))
        decode = partial(_decoded, self.codec.decoder(), request.on_first)
        if self._streams is not None:
            aside = decoded_aside(self._streams, decode)
            yield from one_behind(aside, marked(self._streams, enumerate(blocks)), first_at_once=True)
        elif self.run_ahead:
            yield from one_behind(decode, enumerate(blocks), first_at_once=True)
        else:
            yield from map(decode, enumerate(blocks))

    def latents(self, request: ShotRequest, shot: StreamingShot) -> Iterator[Tensor]:
        """The clean latents [1, f, C, h, w] of each block requested, made in the prepared ``shot``."""
        geometry, known = self.codec.geometry, None

        def wanted(block: int) -> bool:
            nonlocal known
            if block >= request.blocks:
                return False
            prompt, blend = asked = request.prompt, request.blend
            if asked != known:
                read = shot.read if known is None else shot.change
                known = asked
                with torch.no_grad():
                    read(self.prompts.read_blended(prompt, blend) if blend else self.prompts.read([prompt]))
            return True

        return rollout(
            shot,
            self._sample,
            self._noise(request.noise),
            blocks=wanted,
            block_shape=(geometry.block_frames, *geometry.latent_shape),
            device=self.model.device,
        )

    def _noise(self, noise: NoiseSource) -> NoiseSource:
        if self._noise_thread is None:
            return noise
        return NoiseAhead(noise, self._noise_thread, pinned=self.model.device.type == "cuda")


@torch.no_grad()
def _decoded(decoder: StreamDecoder, on_first: OnFirst | None, made: tuple[int, Tensor]) -> Block:
    """Decode the latents [1, f, C, h, w] of block number ``made[0]``. Raises FloatingPointError for NaN and infinity.

    A shot's first latent frame, which is a single frame of film, is decoded by itself: somebody is waiting for it.
    """
    index, latents = made
    pieces = [latents] if index or latents.shape[1] == 1 else [latents[:, :1], latents[:, 1:]]
    frames = []
    for piece in pieces:
        pixels = decoder.push(piece)[0]
        refuse_nan(index, latents, pixels)
        frames.append(to_frames(pixels))
        if len(frames) < len(pieces) and on_first is not None:
            on_first(frames[0][0])
    return Block(index, np.concatenate(frames))


def refuse_nan(block: int, latents: Tensor, pixels: Tensor) -> None:
    """Raise FloatingPointError if a block's latents or ``pixels`` hold NaN or infinity."""
    # The sum of the pixels is enough to find it, and a hundred times as fast as looking at each.
    if not (latents.isfinite().all() and pixels.sum().isfinite()):
        raise FloatingPointError(
            f"block {block} came out as NaN or infinity: damaged weights or memory, or too few bits"
        )
