"""One shot being made by the causal model: network, memory and prompt behind one call, ``flow``.

Axes: B batch, K condition frames, f frames of one block, C channels, h, w latent cells, W caption tokens.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from shotstream.models.caches import (
    CachePlace,
    CaptionCache,
    ContextCache,
    GradientMemory,
    HostMemory,
    KeyValueMemory,
    ShotCache,
    Storage,
)
from shotstream.models.dense_memory import DenseMemory
from shotstream.models.layers import product_dtype
from shotstream.models.rope import rotary_angles, rotation, time_shift
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import Layout, clean_then_noisy
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.solvers import NEVER, GradientPolicy

Memory = TypeVar("Memory", KeyValueMemory, DenseMemory)


class StreamingShot:
    """Queries of a block see [context cache, shot cache, own block]; ``finish`` moves a block into the cache.

    A finished block is remembered by one pass at timestep 0, run only when a next block asks for it: a shot's
    last block needs none. With ``fuse`` that pass and the next block's first step are one. Without ``refresh`` there
    is none: a block is remembered as its last step saw it, still a little noisy (inexact, and faster).
    Building one runs the context pass, which needs no prompt: it can be done while the previous shot plays.
    ``captions``: keys and values of the context's captions, all branches, where they are known already.

    A shot may outgrow ``max_frames``: then the window rolls. The context and the shot's first block stay as sinks
    (StreamingLLM, arXiv 2309.17453; LongLive, arXiv 2509.22622), the oldest block behind them is forgotten, and the
    keys that remain are rotated to the positions they have now, so that no position leaves the trained range.
    """

    def __init__(
        self,
        model: Transformer,
        context: ContextFrames,
        *,
        max_frames: int,
        guidance: float = 1.0,
        gradient: GradientPolicy = NEVER,
        fuse: bool = False,
        refresh: bool = True,
        captions: CaptionCache | None = None,
        cache_place: CachePlace = "device",
    ) -> None:
        self.model = model
        self.cache_place = cache_place
        self.branches = Branches(guidance)
        self.gradient = gradient
        self.refresh = refresh
        self.fuse = fuse and refresh and not gradient.anywhere
        self.max_frames = max_frames
        self.frames = 0  # of finished blocks in the window
        self._window: list[Tensor] = []  # the blocks in the shot cache, clean
        self._unremembered: Tensor | None = None
        self._captions: CaptionCache | None = None
        self.context_cache = ContextCache(self.make_storage(context.latents, max_frames))
        self.shot_cache = ShotCache(self.context_cache)
        self._shot_index = self.branches.index(context.next_shot)
        self._size = context.latents.shape
        self._turn = self.turn_of(0, max_frames)
        self.context_flow = self._write_context(context, captions)

    @property
    def bytes(self) -> int:
        """Of its keys and values, both caches."""
        return self.context_cache.bytes

    def read(self, caption: Tensor | CaptionCache) -> None:
        """Set the prompt of the blocks to come, [B, W, text_dim] or its keys and values; it may change in between."""
        if isinstance(caption, CaptionCache):
            self._captions = caption
            return
        with torch.set_grad_enabled(self.gradient.anywhere):
            self._captions = self.model.encode_captions(self.branches.captions(caption[:, None]))

    def change(self, caption: Tensor | CaptionCache) -> None:
        """Another prompt, as for :meth:`read`, from the next block on, as if the shot had had it all along: the shot
        cache is rebuilt under it (one pass per block), so that what was seen stays and what was asked for does not."""
        self.read(caption)
        blocks, self._window = self._window, []
        self.shot_cache.reset()
        frame = 0
        for clean in blocks:
            with torch.set_grad_enabled(self.gradient.refresh):
                self._pass(clean, [0.0] * clean.shape[1], frame)
            self._remembered(clean)
            frame += clean.shape[1]

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """Guided flow of the next block's latents x [B, f, C, h, w]."""
        while self.frames + x.shape[1] > self.max_frames:
            self._roll()
        clean = self._unremembered
        if clean is None or not self.fuse:
            self.remember()
            return self._pass(x, [timestep] * x.shape[1], self.frames)
        history = clean.shape[1]
        both, timesteps = torch.cat([clean, x], dim=1), [0.0] * history + [timestep] * x.shape[1]
        flow = self._pass(both, timesteps, self.frames - history, clean_then_noisy(history, x.shape[1]))
        self._remembered(clean)
        return flow[:, history:]

    def finish(self, clean: Tensor) -> None:
        """The block that ``flow`` was about is done: ``clean`` [B, f, C, h, w]."""
        self._unremembered = clean
        self.frames += clean.shape[1]
        if not self.refresh:  # its keys and values are where its last step left them
            self._remembered(clean)

    def remember(self) -> None:
        """Run the pass that remembers the last finished block now, if it has not been run."""
        clean = self._unremembered
        if clean is not None:
            with torch.set_grad_enabled(self.gradient.refresh):
                self._pass(clean, [0.0] * clean.shape[1], self.frames - clean.shape[1])
            self._remembered(clean)

    def restart(self) -> None:
        """Forget the shot's blocks, keep the context: for another take."""
        self.shot_cache.reset()
        self._unremembered, self.frames, self._window = None, 0, []

    def _remembered(self, clean: Tensor) -> None:
        self.shot_cache.commit(self._tokens(clean))
        self._window.append(clean)
        if clean is self._unremembered:
            self._unremembered = None

    def _roll(self) -> None:
        """Forget the oldest block behind the sink (the oldest at all, if the window is too short to have one): the
        latest stays in any case, be it remembered yet or not."""
        finished = len(self._window) + (self._unremembered is not None)
        sink = 1 if finished > 2 else 0
        if len(self._window) <= sink:
            raise ValueError(f"a window of {self.max_frames} frames cannot roll: it has no room for two blocks")
        gone = self._window.pop(sink)
        turn = time_shift(-gone.shape[1], self.model.config).to(gone.device)
        keep = sum(self._tokens(block) for block in self._window[:sink])
        self.shot_cache.slide(keep, self._tokens(gone), turn)
        self.frames -= gone.shape[1]

    def _pass(self, x: Tensor, timesteps: list[float], frame: int, layout: Layout | None = None) -> Tensor:
        """Guided flow of frames x that start at ``frame`` of the shot, one timestep each."""
        if self._captions is None:
            raise ValueError("the shot has no prompt yet: call read() first")
        flow = self.model(
            self.branches.latents(x),
            torch.tensor(timesteps).expand(self.branches.count * len(x), -1),
            self._captions,
            turn=self.turn_at(frame, x.shape[1]),
            layout=layout,
            cache=self.shot_cache,
        )
        return self.branches.guided(flow)

    def turn_at(self, frame: int, frames: int) -> Tensor:
        """Rotation of ``frames`` frames of the shot from ``frame`` on: a view of what was worked out once."""
        tokens = self._turn.shape[-4] // self.max_frames
        return self._turn[..., frame * tokens : (frame + frames) * tokens, :, :, :]

    def turn_of(self, frame: int, frames: int) -> Tensor:
        """The same, worked out: [tokens or B, tokens, 1, D/2, 2]."""
        kept, patch = self._size[1], self.model.config.patch
        positions = torch.arange(kept + frame, kept + frame + frames)
        rows, columns = self._size[3] // patch, self._size[4] // patch
        return rotation(rotary_angles(positions, self._shot_index, rows, columns, self.model.config), self.model.device)

    def _write_context(self, context: ContextFrames, captions: CaptionCache | None) -> Tensor:
        """The pass at timestep 0 in which condition frames see only each other; its flow [B, K, C, h, w]."""
        with torch.set_grad_enabled(self.gradient.context):
            flow = self.model(
                self.branches.latents(context.latents),
                torch.zeros(self.branches.count * len(context.latents)),
                self.branches.captions(context.captions) if captions is None else captions,
                caption_index=self.branches.index(context.caption_index),
                shot_index=self.branches.index(context.shot_index),
                cache=self.context_cache,
            )
        self.context_cache.commit(self._tokens(context.latents))
        return self.branches.guided(flow)

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        """Room for the condition frames and ``max_frames`` frames of the shot; unbounded when gradients flow."""
        if self.gradient.anywhere:
            return GradientMemory(self.model.config.layers)
        if self.cache_place == "host":
            return self.allocate(HostMemory, latents, max_frames)
        if latents.device.type == "cpu":
            return self.allocate(DenseMemory, latents, max_frames)
        return self.allocate(KeyValueMemory, latents, max_frames)

    def allocate(self, kind: type[Memory], latents: Tensor, max_frames: int) -> Memory:
        """A memory of ``kind`` for the condition frames ``latents`` and ``max_frames`` frames of the shot."""
        return kind.allocate(
            self.model.config,
            batch=self.branches.count * len(latents),
            capacity=self._tokens(latents) + max_frames * self._tokens(latents[:, :1]),
            device=latents.device,
            dtype=product_dtype(latents.device.type, self.model.dtype),
        )

    def _tokens(self, latents: Tensor) -> int:
        """Tokens of ``latents`` [B, F, C, h, w] per sample."""
        patch = self.model.config.patch
        return latents.shape[1] * (latents.shape[3] // patch) * (latents.shape[4] // patch)
