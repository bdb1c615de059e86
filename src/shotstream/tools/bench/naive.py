"""The plain implementation, to compare with: same weights, same frames, none of what makes streaming fast.

Every write clones a layer's whole cache, every layer computes its own float64 angles, every block gets a refresh pass
(the last one too), matmuls are float32, every condition frame is encoded anew, and a shot is decoded after its last
block.

Axes: B batch, K condition frames, f frames of one block, T tokens, H heads, D head width, W caption tokens,
C channels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from shotstream.models.caches import CaptionCache, ContextCache, KeyValueStorage, ShotCache
from shotstream.models.config import TransformerConfig
from shotstream.models.layers import SelfAttention
from shotstream.models.rope import rotary_angles, rotation
from shotstream.models.transformer import Transformer
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, ContextBuilder, ContextFrames, to_frames
from shotstream.sampling.prompts import Branches
from shotstream.sampling.rollout import rollout
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.sampling.streaming import StreamingShot


class CloningStorage:
    """Keys and values that are copied whole at every write; see :class:`shotstream.models.caches.Storage`."""

    def __init__(self, memory: KeyValueStorage) -> None:
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

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        raise ValueError(
            "the plain implementation has no rolling window; make shots of the length the model was trained for"
        )


@dataclass(slots=True)
class _Place:
    """Where the frames of the pass under way stand."""

    positions: Tensor
    shots: Tensor
    rows: int = 0
    columns: int = 0


class _NaiveAttention(SelfAttention):
    """Self-attention that computes its own rotary angles."""

    def __init__(self, config: TransformerConfig, place: _Place) -> None:
        super().__init__(config)
        self.config, self.place = config, place

    def queries_keys_values(self, x: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place = self.place
        angles = rotary_angles(place.positions, place.shots, place.rows, place.columns, self.config)
        return super().queries_keys_values(x, rotation(angles, x.device))


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
        """Set the positions of the next pass's frames ``latents``; returns the arguments for the pass itself."""
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
        """Run the refresh pass of the block."""
        self.flow(clean, 0.0)
        self.cache.commit(self._tokens(clean))
        self.frames += clean.shape[1]

    def _tokens(self, latents: Tensor) -> int:
        patch = self.model.config.patch
        return latents.shape[1] * (latents.shape[3] // patch) * (latents.shape[4] // patch)

    def _memory(self, latents: Tensor, max_frames: int) -> CloningStorage:
        capacity = self._tokens(latents) + max_frames * self._tokens(latents[:, :1])
        batch = self.branches.count * len(latents)
        return CloningStorage(
            KeyValueStorage.allocate(
                self.model.config, batch=batch, capacity=capacity, device=latents.device, dtype=self.model.dtype
            )
        )


class NaiveGenerator(ShotGenerator):
    """Made from the generator ``fast``. A shot is decoded as a whole, and its request is read once, at the start."""

    def __init__(self, fast: ShotGenerator) -> None:
        self.naive = NaiveTransformer(fast.model)
        self.encoder = fast.text_encoder.encoder
        super().__init__(self.naive, self.encoder, fast.codec, fast.preset)
        self.context = ContextBuilder(fast.codec, self.encoder, fast.context.policy, captions=fast.context.captions)

    @torch.no_grad()
    def shot(
        self, request: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """Make the requested shot. ``prepared`` is of no use here and is not read."""
        geometry, device = self.codec.geometry, self.model.device
        shot = NaiveShot(
            self.naive,
            self.context.encode(context).to(device),
            self.encoder.encode([request.prompt]).to(device),
            max_frames=geometry.max_blocks * geometry.block_frames,
            guidance=self.settings.guidance,
        )
        shape = (geometry.block_frames, *geometry.latent_shape)
        blocks = rollout(shot, self.sampler, request.noise, blocks=request.blocks, block_shape=shape, device=device)
        latents = torch.cat(list(blocks), dim=1)
        frames = to_frames(self.codec.decode(latents)[0])
        start = 0
        for index in range(request.blocks):
            end = geometry.shot_frames(index + 1)
            yield Block(index, frames[start:end])
            start = end
