"""The parts of one transformer layer, in Wan's layout and with Wan's parameter names.

Axes: B batch, F latent frames, N tokens of one frame, T tokens (T = F x N), C width, H heads, D head width,
S captions, W caption tokens. The residual stream is [B, F, N, C] so that each frame has its own timestep.

Norms, modulation, timestep layers and the residual stream are float32 whatever the products' precision: under
autocast, and after ``Transformer.narrow_``, only the matrix products are narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shotstream.models.attention import Backend, TokenSegment, attend, attend_segments
from shotstream.models.caches import Cache, CaptionsRead
from shotstream.models.config import TransformerConfig
from shotstream.models.products import ReadProduct, multiply
from shotstream.models.rope import rotate


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """What every layer of one call shares: positions, visibility, memory, kernel."""

    turn: Tensor  # [T or B, T, 1, D/2, 2] cosines and sines
    plan: tuple[TokenSegment, ...]  # queries of this pass, keys of cache + this pass
    cache: Cache | None
    backend: Backend


def product_dtype(device_type: str, weight_dtype: torch.dtype) -> torch.dtype:
    """The precision of matrix products: autocast's where it is on, else that of the weights."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else weight_dtype


def narrow(x: Tensor, weight: Tensor) -> Tensor:
    """``x`` in the precision its product with ``weight`` will run in: one cast for several products."""
    return x.to(product_dtype(x.device.type, weight.dtype))


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

    _out: ReadProduct | None = None

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

    _qkv: ReadProduct | None = None

    def fuse_(self, on: bool) -> None:
        """One product, one norm and one rotation for what would be three, two and two; ``on`` False undoes it."""
        self._qkv = ReadProduct(self.q, self.k, self.v) if on else None
        self._out = ReadProduct(self.o) if on else None

    def _project(self, h: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated q and k, and v, [B, T, H, D] each, of h [B, T, C]."""
        if self._qkv is not None and self._qkv.stands_for(self.q, self.k, self.v):
            return self._project_at_once(self._qkv(h), turn)
        q, k, v = self.q(h), self.k(h), self.v(h)
        q = rotate(self._split(self.norm_q(q)), turn).to(h.dtype)
        k = rotate(self._split(self.norm_k(k)), turn).to(h.dtype)
        return q, k, self._split(v)

    def _project_at_once(self, qkv: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of q, k, v [B, T, 3 C] side by side."""
        q, _, v = qkv.chunk(3, dim=-1)
        both = qkv[..., : 2 * q.shape[-1]].unflatten(-1, (2, -1)).float()
        normed = F.rms_norm(both, both.shape[-1:], eps=self.norm_q.eps)
        normed = normed * torch.stack([self.norm_q.weight, self.norm_k.weight])
        turned = rotate(self._split(normed).flatten(-3, -2), turn).to(qkv.dtype)
        q, k = turned.chunk(2, dim=-2)
        return q, k, self._split(v)

    def forward(self, x: Tensor, call: Pass, layer: int) -> Tensor:
        """x [B, F, N, C] -> [B, F, N, C]."""
        q, k, v = self._project(narrow(x, self.q.weight).flatten(1, 2), call.turn)
        if call.cache is not None:
            k, v = call.cache.append(layer, k, v)
        seen = attend_segments(q, k, v, call.plan, call.backend)
        return multiply(self._out, self.o, seen.flatten(-2)).view(x.shape)


class CrossAttention(_Attention):
    """Every frame's tokens attend to the caption of the shot that frame belongs to, padding included."""

    _query: ReadProduct | None = None

    def fuse_(self, on: bool) -> None:
        """Products in the order the processor multiplies in; ``on`` False undoes it."""
        self._query = ReadProduct(self.q) if on else None
        self._out = ReadProduct(self.o) if on else None

    def caption_keys_values(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """text [B, S, W, C] -> k, v [B, S, W, H, D]."""
        h = narrow(text, self.k.weight)
        return self._split(self.norm_k(self.k(h)).to(h.dtype)), self._split(self.v(h))

    def forward(self, x: Tensor, captions: CaptionsRead, call: Pass) -> Tensor:
        """x [B, F, N, C] -> [B, F, N, C]."""
        h = narrow(x, self.q.weight)
        q = self._split(self.norm_q(multiply(self._query, self.q, h)).to(h.dtype))
        each = 0 if captions.each is None else len(captions.each[0]) // len(x)
        parts = []
        if captions.each is not None:
            own = attend(q[:, :each].flatten(0, 1), *captions.each, call.backend)
            parts.append(own.unflatten(0, (len(x), -1)).flatten(1, 2))
        if each < x.shape[1]:  # one product for all frames that read the same caption
            parts.append(attend(q[:, each:].flatten(1, 2), *captions.rest, call.backend))
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return multiply(self._out, self.o, seen.flatten(-2)).view(x.shape)


def normal_(weight: Tensor, std: float) -> Tensor:
    """Draw ``weight`` in place. Not on the meta device, where weights that are loaded are made: there a normal draw
    imports torch's compiler, a second and a half of every cold start, for numbers that do not exist."""
    return weight if weight.is_meta else nn.init.normal_(weight, std=std)


def unit_rows(rows: int, dim: int) -> nn.Parameter:
    """[1, rows, dim], each row of length about 1."""
    return nn.Parameter(normal_(torch.empty(1, rows, dim), std=dim**-0.5))


class Layer(nn.Module):
    """Self-attention, cross-attention, feed-forward; six-way modulation by the frame's timestep."""

    _grow: ReadProduct | None = None  # the feed-forward's first product with its GELU
    _shrink: ReadProduct | None = None

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

    def forward(self, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, layer: int) -> Tensor:
        """x [B, F, N, C] float32, time [B, F, 6, C] float32 -> [B, F, N, C] float32."""
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (self.modulation + time).unsqueeze(3).unbind(2)
        x = torch.addcmul(x, self.self_attn(modulated_norm(x, shift_a, scale_a, self.eps), call, layer).float(), gate_a)
        x = x + self.cross_attn(self.norm3(x), captions, call)
        grow = cast(nn.Linear, self.ffn[0])
        h = narrow(modulated_norm(x, shift_f, scale_f, self.eps), grow.weight)
        made = self._grow
        wide = made(h) if made is not None and made.stands_for(grow) else self.ffn[1](grow(h))
        return torch.addcmul(x, multiply(self._shrink, self.ffn[2], wide).float(), gate_f)

    def fuse_(self, on: bool = True) -> None:
        """Fewer, larger operations that say the same within rounding, for weights that are loaded and only read;
        ``on`` False undoes it."""
        self.self_attn.fuse_(on)
        self.cross_attn.fuse_(on)
        grow, shrink = cast(nn.Linear, self.ffn[0]), cast(nn.Linear, self.ffn[2])
        self._grow = ReadProduct(grow, activation="gelu") if on else None
        self._shrink = ReadProduct(shrink) if on else None


class Head(nn.Module):
    """Final modulated norm and the projection of a token to its patch of flow."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.head = nn.Linear(config.dim, config.in_channels * config.patch**2)
        self.modulation = unit_rows(2, config.dim)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x [B, F, N, C], time [B, F, C] -> [B, F, N, patch * patch * channels]."""
        shift, scale = (self.modulation + time.unsqueeze(2)).unsqueeze(3).unbind(2)
        return self.head(narrow(modulated_norm(x, shift, scale, self.eps), self.head.weight))


class PatchEmbedding(nn.Module):
    """Wan's patch convolution (kernel = stride = (1, patch, patch)), computed as one matrix product."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.weight = nn.Parameter(torch.empty(config.dim, config.in_channels, 1, config.patch, config.patch))
        self.bias = nn.Parameter(torch.zeros(config.dim))

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, channels, rows * patch, columns * patch] -> tokens [B, F, N, C]."""
        patch = self.patch
        cells = latents.unflatten(4, (-1, patch)).unflatten(3, (-1, patch))  # B F ch R p Co p
        patches = cells.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)
        return F.linear(narrow(patches, self.weight), self.weight.flatten(1), self.bias)


def unpatchify(tokens: Tensor, rows: int, columns: int, patch: int) -> Tensor:
    """tokens [B, F, N, patch * patch * channels] -> [B, F, channels, rows * patch, columns * patch]."""
    cells = tokens.unflatten(3, (patch, patch, -1)).unflatten(2, (rows, columns))  # B F R Co p q ch
    return cells.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)


def sinusoidal_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """[...] -> [..., dim] float32: cosines, then sines, of float64 angles (as Wan computes them)."""
    half = dim // 2
    rates = 10_000.0 ** -(torch.arange(half, dtype=torch.float64, device=timesteps.device) / half)
    angles = timesteps.double()[..., None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1).float()
