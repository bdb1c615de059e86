"""One shot being made by the causal model: network, memory and prompt behind one call, ``flow``.

Axes: B batch, K condition frames, f frames of one block, C channels, h, w latent cells, W caption tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shotstream.models.caches import CaptionCache, ContextCache, GradientMemory, KeyValueMemory, ShotCache, Storage
from shotstream.models.layers import product_dtype
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import Layout, clean_then_noisy
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.solvers import NEVER, GradientPolicy


class StreamingShot:
    """Queries of a block see [context cache, shot cache, own block]; ``finish`` moves a block into the cache.

    A finished block is remembered by one pass at timestep 0, run only when a next block asks for it: a shot's
    last block needs none. With ``fuse`` that pass and the next block's first step are one.
    Building one runs the context pass, which needs no prompt: it can be done while the previous shot plays.
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
    ) -> None:
        self.model = model
        self.branches = Branches(guidance)
        self.gradient = gradient
        self.fuse = fuse and not gradient.anywhere
        self.shot_index = self.branches.index(context.next_shot)
        self.first_position = context.frames
        self.frames = 0  # of finished blocks
        self._unremembered: Tensor | None = None
        self._captions: CaptionCache | None = None
        self.context_cache = ContextCache(self._storage(context.latents, max_frames))
        self.shot_cache = ShotCache(self.context_cache)
        self.context_flow = self._write_context(context)

    def read(self, caption: Tensor) -> None:
        """Set the prompt [B, W, text_dim] of the blocks to come; it may change between blocks."""
        with torch.set_grad_enabled(self.gradient.anywhere):
            self._captions = self.model.encode_captions(self.branches.captions(caption[:, None]))

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """Guided flow of the next block's latents x [B, f, C, h, w]."""
        clean = self._unremembered
        if clean is None:
            return self._pass(x, [timestep] * x.shape[1], self.frames)
        history = clean.shape[1]
        if not self.fuse:
            with torch.set_grad_enabled(self.gradient.refresh):
                self._pass(clean, [0.0] * history, self.frames - history)
            self._remembered(clean)
            return self.flow(x, timestep)
        both, timesteps = torch.cat([clean, x], dim=1), [0.0] * history + [timestep] * x.shape[1]
        flow = self._pass(both, timesteps, self.frames - history, clean_then_noisy(history, x.shape[1]))
        self._remembered(clean)
        return flow[:, history:]

    def finish(self, clean: Tensor) -> None:
        """The block that ``flow`` was about is done: ``clean`` [B, f, C, h, w]."""
        self._unremembered = clean
        self.frames += clean.shape[1]

    def restart(self) -> None:
        """Forget the shot's blocks, keep the context: for another take."""
        self.shot_cache.reset()
        self._unremembered, self.frames = None, 0

    def _remembered(self, clean: Tensor) -> None:
        self.shot_cache.commit(self._tokens(clean))
        self._unremembered = None

    def _pass(self, x: Tensor, timesteps: list[float], frame: int, layout: Layout | None = None) -> Tensor:
        """Guided flow of frames x that start at ``frame`` of the shot, one timestep each."""
        if self._captions is None:
            raise ValueError("the shot has no prompt yet: call read() first")
        first = self.first_position + frame
        flow = self.model(
            self.branches.latents(x),
            torch.tensor(timesteps).expand(self.branches.count * len(x), -1),
            self._captions,
            positions=torch.arange(first, first + x.shape[1]),
            shot_index=self.shot_index,
            layout=layout,
            cache=self.shot_cache,
        )
        return self.branches.guided(flow)

    def _write_context(self, context: ContextFrames) -> Tensor:
        """The pass at timestep 0 in which condition frames see only each other; its flow [B, K, C, h, w]."""
        with torch.set_grad_enabled(self.gradient.context):
            flow = self.model(
                self.branches.latents(context.latents),
                torch.zeros(self.branches.count * len(context.latents)),
                self.branches.captions(context.captions),
                caption_index=self.branches.index(context.caption_index),
                shot_index=self.branches.index(context.shot_index),
                cache=self.context_cache,
            )
        self.context_cache.commit(self._tokens(context.latents))
        return self.branches.guided(flow)

    def _storage(self, latents: Tensor, max_frames: int) -> Storage:
        """Room for the condition frames and ``max_frames`` frames of the shot; unbounded when gradients flow."""
        config = self.model.config
        if self.gradient.anywhere:
            return GradientMemory(config.layers)
        return KeyValueMemory.allocate(
            config,
            batch=self.branches.count * len(latents),
            capacity=self._tokens(latents) + max_frames * self._tokens(latents[:, :1]),
            device=latents.device,
            dtype=product_dtype(latents.device.type, self.model.dtype),
        )

    def _tokens(self, latents: Tensor) -> int:
        """Tokens of ``latents`` [B, F, C, h, w] per sample."""
        patch = self.model.config.patch
        return latents.shape[1] * (latents.shape[3] // patch) * (latents.shape[4] // patch)
