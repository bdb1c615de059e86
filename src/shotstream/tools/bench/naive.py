"""The naive way, to compare with: same weights, same pictures, none of what makes streaming fast.

Every write clones a layer's whole cache, every layer works out its own float64 angles, every block is remembered by
a pass of its own (the last one too), products are float32, every condition frame is encoded anew, and a shot is
decoded when all of it is denoised.

Axes: B batch, K condition frames, f frames of one block, T tokens, H heads, D head width, W caption tokens,
C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shotstream.models.caches import CaptionCache, ContextCache, KeyValueMemory, ShotCache
from shotstream.models.config import TransformerConfig
from shotstream.models.layers import Pass, SelfAttention
from shotstream.models.rope import rotary_angles, rotation
from shotstream.models.transformer import Transformer
from shotstream.sampling.branches import Branches
from shotstream.sampling.context import ContextFrames, ContextMemory, FinishedShot, to_pictures
from shotstream.sampling.director import Block, ShotDirector, ShotPlan
from shotstream.sampling.rollout import rollout
from shotstream.sampling.streaming import StreamingShot


class CloningMemory:
    """Keys and values of which every write makes a whole new copy; see :class:`shotstream.models.caches.Storage`."""

    def __init__(self, memory: KeyValueMemory) -> None:
        self.keys, self.values = (
            [layer.contiguous() for layer in all_.unbind()] for all_ in (memory.keys, memory.values)
        )

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def write(self, layer: int, start: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        stop = start + k.shape[1]
        self.keys[layer], self.values[layer] = self.keys[layer].clone(), self.values[layer].clone()
        self.keys[layer][:, start:stop] = k
        self.values[layer][:, start:stop] = v
        return self.keys[layer][:, :stop], self.values[layer][:, :stop]

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        return [(k[:, start:stop], v[:, start:stop]) for k, v in zip(self.keys, self.values, strict=True)]

    def slide(self, start: int, stop: int, drop: int, turn: Tensor) -> None:
        raise ValueError("the naive way has no rolling window; film shots the model was trained for")


@dataclass(slots=True)
class _Place:
    """Where the frames of the pass under way stand."""

    positions: Tensor
    shots: Tensor
    rows: int = 0
    columns: int = 0


class _NaiveAttention(SelfAttention):
    """Self-attention that works out the angles for itself."""

    def __init__(self, config: TransformerConfig, place: _Place) -> None:
        super().__init__(config)
        self.config, self.place = config, place

    def forward(self, x: Tensor, call: Pass, layer: int) -> Tensor:
        place = self.place
        angles = rotary_angles(place.positions, place.shots, place.rows, place.columns, self.config)
        return super().forward(x, replace(call, turn=rotation(angles, x.device)), layer)


class NaiveTransformer(Transformer):
    """The network of ``model`` with its weights in float32."""

    def __init__(self, model: Transformer) -> None:
        super().__init__(model.config, model.backend)
        self.place = _Place(torch.zeros(1), torch.zeros(1))
        for layer in self._layers():
            layer.self_attn = _NaiveAttention(model.config, self.place)
        self.load_state_dict(model.state_dict())
        self.to(model.device).requires_grad_(False)

    def at(self, positions: Tensor, shots: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """Say where the frames ``latents`` of the next pass stand; returns what the pass itself must be told."""
        patch = self.config.patch
        self.place.positions, self.place.shots = positions, shots
        self.place.rows, self.place.columns = latents.shape[3] // patch, latents.shape[4] // patch
        return {"positions": positions, "shot_index": shots}


class NaiveShot:
    """One shot: a :class:`shotstream.sampling.rollout.ShotFlow`."""

    def __init__(
        self, model: NaiveTransformer, context: ContextFrames, caption: Tensor, *, max_frames: int, guidance: float
    ) -> None:
        self.model = model
        self.branches = Branches(guidance)
        self.shots = self.branches.index(context.next_shot)
        self.frames = context.frames
        self.context = ContextCache(self._memory(context.latents, max_frames))
        latents = self.branches.latents(context.latents)
        shots = self.branches.index(context.shot_index)
        model(
            latents,
            torch.zeros(len(latents)),
            self.branches.captions(context.captions),
            caption_index=self.branches.index(context.caption_index),
            cache=self.context,
            **model.at(torch.arange(context.frames), shots, latents),
        )
        self.context.commit(self._tokens(latents))
        self.cache = ShotCache(self.context)
        self.caption: CaptionCache = model.encode_captions(self.branches.captions(caption[:, None]))

    def flow(self, x: Tensor, timestep: float) -> Tensor:
        """Guided flow of the next block's latents x [B, f, C, h, w]."""
        latents = self.branches.latents(x)
        positions = torch.arange(self.frames, self.frames + x.shape[1])
        where = self.model.at(positions, self.shots, latents)
        times = torch.full((len(latents),), timestep)
        return self.branches.guided(self.model(latents, times, self.caption, cache=self.cache, **where))

    def finish(self, clean: Tensor) -> None:
        """Remember the block in a pass of its own."""
        self.flow(clean, 0.0)
        self.cache.commit(self._tokens(clean))
        self.frames += clean.shape[1]

    def _tokens(self, latents: Tensor) -> int:
        patch = self.model.config.patch
        return latents.shape[1] * (latents.shape[3] // patch) * (latents.shape[4] // patch)

    def _memory(self, latents: Tensor, max_frames: int) -> CloningMemory:
        capacity = self._tokens(latents) + max_frames * self._tokens(latents[:, :1])
        batch = self.branches.count * len(latents)
        return CloningMemory(
            KeyValueMemory.allocate(
                self.model.config, batch=batch, capacity=capacity, device=latents.device, dtype=self.model.dtype
            )
        )


class NaiveDirector(ShotDirector):
    """Made from the director ``fast``. Nothing of a shot is seen before the whole of it is done, and its plan is read
    once, at the start."""

    def __init__(self, fast: ShotDirector) -> None:
        self.naive = NaiveTransformer(fast.model)
        self.encoder = fast.text_encoder.encoder
        super().__init__(self.naive, self.encoder, fast.codec, settings=fast.settings, schedule=fast.schedule)
        self.memory = ContextMemory(fast.codec, self.encoder, fast.memory.policy, captions=fast.memory.captions)

    @torch.no_grad()
    def shot(
        self, plan: ShotPlan, past: Sequence[FinishedShot] = (), prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the shot of ``plan`` after ``past``. ``prepared`` is of no use here and is not read."""
        geometry, device = self.codec.geometry, self.model.device
        shot = NaiveShot(
            self.naive,
            self.memory.recall(past, plan.prompt).to(device),
            self.encoder.encode([plan.prompt]).to(device),
            max_frames=geometry.max_blocks * geometry.block_frames,
            guidance=self.settings.guidance,
        )
        shape = (geometry.block_frames, *geometry.latent_shape)
        blocks = rollout(shot, self.sampler, plan.noise, blocks=plan.blocks, block_shape=shape, device=device)
        latents = torch.cat(list(blocks), dim=1)
        pictures = to_pictures(self.codec.decode(latents)[0])
        start = 0
        for index, block in enumerate(latents[0].split(geometry.block_frames)):
            end = geometry.shot_frames(index + 1)
            yield Block(index=index, frames=pictures[start:end], latents=block)
            start = end
