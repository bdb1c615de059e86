"""The parts of a transformer layer, with Wan's parameter names.

Axes: B batch, F latent frames, N tokens of one frame, T tokens (T = F x N), C width, H heads, D head width,
S captions, W caption tokens. The residual stream is [B, F, N, C] so that each frame has its own timestep.

Norms, modulation, timestep layers and the residual stream are always float32: under autocast, and after
``Transformer.narrow_``, only the matmuls are in half precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shotstream.models.attention import Backend, TokenSegment, attend, attend_segments
from shotstream.models.caches import Cache, CaptionsRead
from shotstream.models.config import TransformerConfig
from shotstream.models.fused_linear import FusedLinear, linear
from shotstream.models.rope import Heads, rotate

Stream = Annotated[Tensor, "B F N C"]
CaptionHeads = Annotated[Tensor, "B S W H D"]
Modulation = Annotated[Tensor, "B 1|F 6 C"]
Modulations = tuple[Tensor, ...]  # six, each [B, 1 or F, 1, C]
Latents = Annotated[Tensor, "B F channels h w"]
Patches = Annotated[Tensor, "B F N flow"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """What every layer of one call shares: positions, visibility, cache, kernel."""

    rotations: Tensor  # [T or B, T, 1, D/2, 2] cosines and sines
    plan: tuple[TokenSegment, ...]  # queries of this pass, keys of cache + this pass
    cache: Cache | None
    backend: Backend

    def see(self, own: tuple[Heads, Heads, Heads], layer: int) -> Heads:
        """What the queries of ``own`` q, k, v see: the cache, where k and v are placed, and each other."""
        q, k, v = own
        if self.cache is not None:
            k, v = self.cache.append(layer, k, v)
        return attend_segments(q, k, v, self.plan, self.backend)


def matmul_dtype(device_type: str, weight_dtype: torch.dtype) -> torch.dtype:
    """The precision of matmuls: autocast's where it is on, else that of the weights."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else weight_dtype


def narrow(x: Tensor, weight: Tensor) -> Tensor:
    """``x`` in the precision of its matmul with ``weight``: one cast for several matmuls."""
    return x.to(matmul_dtype(x.device.type, weight.dtype))


class RMSNorm(nn.Module):
    """Root-mean-square norm over the whole width (all heads together), in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


class AffineNorm(nn.Module):
    """LayerNorm with weight and bias, float32 inside and out."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """LayerNorm without affine, then x * (1 + scale) + shift (AdaLN)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=eps), 1 + scale)


class _Attention(nn.Module):
    """The projections and norms self- and cross-attention have in common."""

    _out: FusedLinear | None = None

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads = config.heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, config.eps)
        self.norm_k = RMSNorm(dim, config.eps)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


class SelfAttention(_Attention):
    """Rotary self-attention over [cache, this pass]."""

    _qkv: FusedLinear | None = None

    def fuse_(self, on: bool) -> None:
        """One matmul, one norm and one rotation for what would be three, two and two; ``on`` False undoes it."""
        self._qkv = FusedLinear(self.q, self.k, self.v) if on else None
        self._out = FusedLinear(self.o) if on else None

    def _project(self, h: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated q and k, and v, [B, T, H, D] each, of h [B, T, C]."""
        if self._qkv is not None:
            return self._project_at_once(self._qkv(h), rotations)
        q, k, v = self.q(h), self.k(h), self.v(h)
        q = rotate(self._split(self.norm_q(q)), rotations).to(h.dtype)
        k = rotate(self._split(self.norm_k(k)), rotations).to(h.dtype)
        return q, k, self._split(v)

    def _project_at_once(self, qkv: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of q, k, v [B, T, 3 C] side by side."""
        q, _, v = qkv.chunk(3, dim=-1)
        both = qkv[..., : 2 * q.shape[-1]].unflatten(-1, (2, -1)).float()
        normed = F.rms_norm(both, both.shape[-1:], eps=self.norm_q.eps)
        normed = normed * torch.stack([self.norm_q.weight, self.norm_k.weight])
        rotated = rotate(self._split(normed).flatten(-3, -2), rotations).to(qkv.dtype)
        q, k = rotated.chunk(2, dim=-2)
        return q, k, self._split(v)

    def queries_keys_values(self, x: Stream, rotations: Tensor) -> tuple[Heads, Heads, Heads]:
        """Of x [B, F, N, C]; q and k rotated."""
        return self._project(narrow(x, self.q.weight).flatten(1, 2), rotations)

    def output(self, seen: Heads) -> Annotated[Tensor, "B T C"]:
        """What the queries have ``seen``, heads together."""
        return linear(self._out, self.o, seen.flatten(-2))


class CrossAttention(_Attention):
    """Every frame's tokens attend to the caption of the shot that frame belongs to."""

    _query: FusedLinear | None = None

    def fuse_(self, on: bool) -> None:
        """Matmuls with weights in the processor's own layout; ``on`` False undoes it."""
        self._query = FusedLinear(self.q) if on else None
        self._out = FusedLinear(self.o) if on else None

    def caption_keys_values(self, text: Annotated[Tensor, "B S W C"]) -> tuple[CaptionHeads, CaptionHeads]:
        """k and v of captions."""
        h = narrow(text, self.k.weight)
        return self._split(self.norm_k(self.k(h)).to(h.dtype)), self._split(self.v(h))

    def forward(self, x: Stream, captions: CaptionsRead, backend: Backend) -> Stream:
        h = narrow(x, self.q.weight)
        q = self._split(self.norm_q(linear(self._query, self.q, h)).to(h.dtype))
        each = 0 if captions.each is None else len(captions.each.keys) // len(x)
        parts = []
        if captions.each is not None:
            k, v, bias = captions.each
            own = attend(q[:, :each].flatten(0, 1), k, v, backend, bias)
            parts.append(own.unflatten(0, (len(x), -1)).flatten(1, 2))
        if each < x.shape[1]:  # one matmul for all frames that read the same caption
            k, v, bias = captions.rest
            parts.append(attend(q[:, each:].flatten(1, 2), k, v, backend, bias))
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return linear(self._out, self.o, seen.flatten(-2)).view(x.shape)


def normal_(weight: Tensor, std: float) -> Tensor:
    """Draw ``weight`` in place. Not on the meta device, where weights that are loaded are made: there a normal draw
    imports torch's compiler, a second and a half of every cold start, for numbers that do not exist."""
    return weight if weight.is_meta else nn.init.normal_(weight, std=std)


def unit_rows(rows: int, dim: int) -> nn.Parameter:
    """[1, rows, dim], each row of length about 1."""
    return nn.Parameter(normal_(torch.empty(1, rows, dim), std=dim**-0.5))


class Layer(nn.Module):
    """Self-attention, cross-attention, feed-forward; six-way modulation by the frame's timestep."""

    _grow: FusedLinear | None = None  # the feed-forward's first matmul with its GELU
    _shrink: FusedLinear | None = None

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.eps = config.eps
        self.self_attn = SelfAttention(config)
        self.norm3 = AffineNorm(dim, config.eps)
        self.cross_attn = CrossAttention(config)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim)
        )
        self.modulation = unit_rows(6, dim)

    def forward(self, x: Stream, time: Modulation, captions: CaptionsRead, call: Pass, layer: int) -> Stream:
        """All float32."""
        parts = self.modulations(time)
        seen = call.see(self.before_attention(x, parts, call.rotations), layer)
        x = self.after_attention(x, parts, seen, captions, call.backend)
        del seen  # a large tensor less while the feed-forward is at work
        return self.feed_forward(x, parts)

    def modulations(self, time: Modulation) -> Modulations:
        """Shift, scale and gate around self-attention, then those around the feed-forward."""
        return (self.modulation + time).unsqueeze(3).unbind(2)

    def before_attention(self, x: Stream, parts: Modulations, rotations: Tensor) -> tuple[Heads, Heads, Heads]:
        """Queries, keys and values of self-attention. They know nothing of what else is attended to, so their shapes
        are those of the pass alone."""
        shift, scale, *_ = parts
        return self.self_attn.queries_keys_values(modulated_norm(x, shift, scale, self.eps), rotations)

    def after_attention(
        self, x: Stream, parts: Modulations, seen: Heads, captions: CaptionsRead, backend: Backend
    ) -> Stream:
        """Add what the queries have ``seen``, then what they find in their captions."""
        x = torch.addcmul(x, self.self_attn.output(seen).view(x.shape).float(), parts[2])
        return x + self.cross_attn(self.norm3(x), captions, backend)

    def feed_forward(self, x: Stream, parts: Modulations) -> Stream:
        """The layer's last part."""
        *_, shift, scale, gate = parts
        grow = cast(nn.Linear, self.ffn[0])
        h = narrow(modulated_norm(x, shift, scale, self.eps), grow.weight)
        wide = self.ffn[1](grow(h)) if self._grow is None else self._grow(h)
        return torch.addcmul(x, linear(self._shrink, self.ffn[2], wide).float(), gate)

    def fuse_(self, on: bool = True) -> None:
        """Fewer, larger operations that say the same within rounding, for weights that are loaded and only read;
        ``on`` False undoes it."""
        self.self_attn.fuse_(on)
        self.cross_attn.fuse_(on)
        grow, shrink = cast(nn.Linear, self.ffn[0]), cast(nn.Linear, self.ffn[2])
        self._grow = FusedLinear(grow, activation="gelu") if on else None
        self._shrink = FusedLinear(shrink) if on else None

    def still_fused(self) -> bool:
        """Are the layers that were fused those that are here, unchanged? True where none was."""
        own, cross = self.self_attn, self.cross_attn
        made_of = (
            (own._qkv, (own.q, own.k, own.v)),
            (own._out, (own.o,)),
            (cross._query, (cross.q,)),
            (cross._out, (cross.o,)),
            (self._grow, (self.ffn[0],)),
            (self._shrink, (self.ffn[2],)),
        )
        return all(fused is None or fused.stands_for(*layers) for fused, layers in made_of)


class Head(nn.Module):
    """Final modulated norm and the projection of a token to its patch of flow."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.head = nn.Linear(config.dim, config.in_channels * config.patch**2)
        self.modulation = unit_rows(2, config.dim)

    def forward(self, x: Stream, time: Annotated[Tensor, "B 1|F C"]) -> Patches:
        """The flow of each token's patch: patch * patch * channels numbers."""
        shift, scale = (self.modulation + time.unsqueeze(2)).unsqueeze(3).unbind(2)
        return self.head(narrow(modulated_norm(x, shift, scale, self.eps), self.head.weight))


class PatchEmbedding(nn.Module):
    """Wan's patch convolution (kernel = stride = (1, patch, patch)), computed as one matmul."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.weight = nn.Parameter(torch.empty(config.dim, config.in_channels, 1, config.patch, config.patch))
        self.bias = nn.Parameter(torch.zeros(config.dim))

    def forward(self, latents: Latents) -> Stream:
        """h = rows * patch, w = columns * patch, N = rows * columns."""
        patch = self.patch
        cells = latents.unflatten(4, (-1, patch)).unflatten(3, (-1, patch))  # B F ch R p Co p
        patches = cells.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)
        return F.linear(narrow(patches, self.weight), self.weight.flatten(1), self.bias)


def unpatchify(tokens: Patches, rows: int, columns: int, patch: int) -> Latents:
    """flow = patch * patch * channels, h = rows * patch, w = columns * patch."""
    cells = tokens.unflatten(3, (patch, patch, -1)).unflatten(2, (rows, columns))  # B F R Co p q ch
    return cells.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)


def sinusoidal_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """[...] -> [..., dim] float32: cosines, then sines, of float64 angles (as Wan computes them)."""
    half = dim // 2
    rates = 10_000.0 ** -(torch.arange(half, dtype=torch.float64, device=timesteps.device) / half)
    angles = timesteps.double()[..., None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1).float()
