"""KV caches: the context cache, the shot cache, and those of captions.

Axes: L layers, B batch, T tokens, H heads, D head width, S captions, W caption tokens.
One storage of fixed capacity holds [condition frames | finished blocks | current block]; both caches are windows
on it, so attention reads one view:

    storage = KeyValueStorage.allocate(config, batch=1, capacity=...)
    context = ContextCache(storage)      # written by one pass at timestep 0, once per shot
    shot = ShotCache(context)            # grows by one block at a time, emptied at every cut
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor

from shotstream.models.config import TransformerConfig
from shotstream.models.rope import Heads, rotate

Seen = Annotated[Tensor, "B K H D"]

CachePlace = Literal["device", "host"]


class Storage(Protocol):
    """Where keys and values live."""

    @property
    def bytes(self) -> int: ...

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        """Place k, v [B, T, H, D] at token ``start``; return everything from token 0 to their end."""
        ...

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        """k, v [B, stop - start, H, D] of every layer."""
        ...

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        """Move the tokens of [start + drop, stop) to ``start``; ``rotation`` [D/2] moves their keys there, too."""
        ...


class KeyValueStorage:
    """Preallocated storage [L, B, capacity, H, D], written in place: for sampling without gradients.

    A head's keys lie side by side: attention is one matmul per head.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys = keys
        self.values = values

    @classmethod
    def allocate(
        cls, config: TransformerConfig, *, batch: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> KeyValueStorage:
        """Room for ``capacity`` tokens per sample."""
        shape = (config.layers, batch, config.heads, capacity, config.head_dim)
        return cls(*(torch.empty(shape, device=device, dtype=dtype).transpose(2, 3) for _ in range(2)))

    @property
    def bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        stop = start + k.shape[1]
        if stop > self.keys.shape[2]:
            raise ValueError(f"the cache holds {self.keys.shape[2]} tokens; {stop} were needed")
        keys, values = self.keys[layer, :, :stop], self.values[layer, :, :stop]
        keys[:, start:] = k
        values[:, start:] = v
        return keys, values

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        return [(k[:, start:stop], v[:, start:stop]) for k, v in zip(self.keys, self.values, strict=True)]

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        kept = stop - start - drop
        self.values[:, :, start : start + kept] = self.values[:, :, start + drop : stop].clone()
        moved = rotate(self.keys[:, :, start + drop : stop].flatten(0, 1), rotation).unflatten(0, self.keys.shape[:2])
        self.keys[:, :, start : start + kept] = moved.to(self.keys.dtype)


class HostStorage(KeyValueStorage):
    """The same in main memory: a layer's keys and values are copied to the device while that layer works."""

    @classmethod
    def allocate(
        cls, config: TransformerConfig, *, batch: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> HostStorage:
        """Room for ``capacity`` tokens per sample, in pages that a CUDA device can read by itself."""
        shape = (config.layers, batch, capacity, config.heads, config.head_dim)
        pinned = device.type == "cuda"
        return cls(*(torch.empty(shape, dtype=dtype, pin_memory=pinned) for _ in range(2)))

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        keys, values = super().write(layer, start, k, v)
        return _fetched(keys[:, :start], k), _fetched(values[:, :start], v)

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        super().slide(start, stop, drop, rotation.cpu())


def _fetched(earlier: Tensor, own: Tensor) -> Tensor:
    """[earlier | own] on the device of ``own``."""
    return torch.cat([earlier.to(own.device, non_blocking=True), own.to(earlier.dtype)], dim=1)


class GradientStorage:
    """The same without in-place writes: gradients flow from later blocks into the keys and values of earlier ones."""

    def __init__(self, layers: int) -> None:
        self._chunks: list[list[tuple[int, Tensor, Tensor]]] = [[] for _ in range(layers)]

    @property
    def bytes(self) -> int:
        return sum(k.nbytes + v.nbytes for layer in self._chunks for _, k, v in layer)

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        earlier = [chunk for chunk in self._chunks[layer] if chunk[0] < start]
        with torch.enable_grad():  # a pass without gradients must not cut those of the passes before it
            kept = [(at, old_k[:, : start - at], old_v[:, : start - at]) for at, old_k, old_v in earlier]
        self._chunks[layer] = [*kept, (start, k, v)]
        return self._joined(layer)

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        joined = [self._joined(layer) for layer in range(len(self._chunks))]
        return [(k[:, start:stop], v[:, start:stop]) for k, v in joined]

    def as_it_is(self) -> GradientStorage:
        """The same keys and values in storage of their own: what is written here later is not seen there."""
        other = GradientStorage(0)
        other._chunks = list(self._chunks)  # a write puts a new list into its place
        return other

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        raise ValueError("no stage trains through a rolling window; give the shot room for all its frames")

    def _joined(self, layer: int) -> tuple[Tensor, Tensor]:
        chunks = self._chunks[layer]
        return torch.cat([k for _, k, _ in chunks], dim=1), torch.cat([v for _, _, v in chunks], dim=1)


class Cache:
    """A window on a storage that grows at its end. Verbs: append, commit, reset."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.tokens = 0

    @property
    def start(self) -> int:
        """First token of the storage that belongs to this cache."""
        return 0

    @property
    def end(self) -> int:
        """First token behind this cache: a pass attends to so many earlier tokens."""
        return self.start + self.tokens

    @property
    def bytes(self) -> int:
        """Bytes of the storage, all windows together."""
        return self.storage.bytes

    def append(self, layer: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        """Place a pass's k, v [B, T, H, D] behind what is kept; return all that its queries may see.

        Until :meth:`commit` the next pass overwrites them: an unfinished block leaves no trace.
        """
        return self.storage.write(layer, self.end, k, v)

    def commit(self, tokens: int) -> None:
        """Keep the first ``tokens`` tokens of the last pass."""
        self.tokens += tokens

    def reset(self) -> None:
        """Drop everything in this window."""
        self.tokens = 0

    def tensors(self) -> tuple[list[Tensor], list[Tensor]]:
        """What this window keeps: k[l], v[l] are [B, T, H, D]."""
        pairs = self.storage.read(self.start, self.end)
        return [k for k, _ in pairs], [v for _, v in pairs]


class ContextCache(Cache):
    """The condition frames' keys and values: the beginning of the storage."""


class ShotCache(Cache):
    """The current shot's finished blocks, in the same storage right behind ``context``."""

    def __init__(self, context: ContextCache) -> None:
        super().__init__(context.storage)
        self.context = context

    @property
    def start(self) -> int:
        return self.context.end

    def slide(self, keep: int, drop: int, rotation: Tensor) -> None:
        """Drop ``drop`` tokens behind the first ``keep``; later ones move up, their keys rotated by ``rotation``."""
        self.storage.slide(self.start + keep, self.end, drop, rotation)
        self.tokens -= drop


class CaptionCache(NamedTuple):
    """Cross-attention keys and values of a set of captions, per layer: k[l], v[l] are [B, S, W, H, D].

    ``bias`` [B, S, W] hides what is behind a caption's end; None where every token is seen.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    bias: Tensor | None = None

    @property
    def captions(self) -> int:
        return self.keys[0].shape[1]

    def read(self, layer: int, index: Tensor | None) -> CaptionsRead:
        """What the frames of a pass read in one layer; ``index`` as in :class:`CaptionsRead`."""
        k, v, bias = self.keys[layer], self.values[layer], self.bias
        rest = 0 if index is None else -1
        last = CaptionTokens(k[:, rest], v[:, rest], None if bias is None else bias[:, rest])
        if index is None:
            return CaptionsRead(None, last)
        rows = torch.arange(len(k), device=k.device)[:, None] * k.shape[1]
        chosen = (rows + index).flatten()
        led, said = (tensor.flatten(0, 1).index_select(0, chosen) for tensor in (k, v))
        hidden = None if bias is None else bias.flatten(0, 1).index_select(0, chosen)
        return CaptionsRead(CaptionTokens(led, said, hidden), last)

    @staticmethod
    def joined(parts: Sequence[CaptionCache], dim: int) -> CaptionCache:
        """Several as one: along the batch (``dim`` 0) or as more captions (1); shorter ones get a hidden end."""
        widest = max(part.keys[0].shape[2] for part in parts)
        if any(part.bias is not None or part.keys[0].shape[2] < widest for part in parts):
            parts = [part._widened(widest) for part in parts]
        keys, values = (
            tuple(torch.cat(layer, dim) for layer in zip(*(part[place] for part in parts), strict=True))
            for place in (0, 1)
        )
        biases = [part.bias for part in parts if part.bias is not None]
        return CaptionCache(keys, values, torch.cat(biases, dim) if biases else None)

    def _widened(self, width: int) -> CaptionCache:
        """The same with a bias, and hidden tokens behind it up to ``width``."""
        k = self.keys[0]
        more = width - k.shape[2]
        bias = k.new_zeros(k.shape[:3], dtype=torch.float32) if self.bias is None else self.bias
        keys, values = (
            tuple(functional.pad(layer, (0, 0, 0, 0, 0, more)) for layer in layers)
            for layers in (self.keys, self.values)
        )
        return CaptionCache(keys, values, functional.pad(bias, (0, more), value=-torch.inf))


class CaptionTokens(NamedTuple):
    """Keys and values [B, W, H, D] of one caption per row, and what hides tokens behind its end: [B, W], or None."""

    keys: Tensor
    values: Tensor
    bias: Tensor | None


class CaptionsRead(NamedTuple):
    """One layer's caption keys and values as the frames of a pass read them.

    Each of the first F' frames its own (``index`` [B, F'] names it), rows B * F'; all frames behind them the same
    one, rows B: the last caption, or without an index the first.
    """

    each: CaptionTokens | None
    rest: CaptionTokens


class DenseStorage:
    """Preallocated storage (:class:`shotstream.models.caches.Storage`) with one head's tokens right behind another's.

    So a longer window has its heads elsewhere: what is kept moves once per block, not in each of its passes.
    What :meth:`write` and :meth:`read` return is good until the next write.
    """

    def __init__(self, pages: tuple[Tensor, Tensor], config: TransformerConfig, batch: int, capacity: int) -> None:
        self._pages = pages  # keys and values, each [L, B capacity H D]
        self._shape = (batch, config.heads, config.head_dim)
        self._capacity = capacity
        self._tokens = [0] * config.layers  # in the window of each layer

    @classmethod
    def allocate(
        cls, config: TransformerConfig, *, batch: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> DenseStorage:
        """Room for ``capacity`` tokens per sample, on a CPU."""
        if device.type != "cpu":
            raise ValueError(f"dense storage is for CPUs, not {device}")
        shape = (config.layers, batch * capacity * config.dim)
        return cls((_own_pages(shape, dtype), _own_pages(shape, dtype)), config, batch, capacity)

    @property
    def bytes(self) -> int:
        return sum(pages.nbytes for pages in self._pages)

    def write(self, layer: int, start: int, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        stop = start + k.shape[1]
        if stop > self._capacity:
            raise ValueError(f"the cache holds {self._capacity} tokens; {stop} were needed")
        if stop != self._tokens[layer]:
            self._resize(layer, start, stop)
        keys, values = self._windows(layer)
        keys[:, start:] = k
        values[:, start:] = v
        return keys, values

    def read(self, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        windows = [self._windows(layer) for layer in range(len(self._tokens))]
        return [(k[:, start:stop], v[:, start:stop]) for k, v in windows]

    def slide(self, start: int, stop: int, drop: int, rotation: Tensor) -> None:
        kept = stop - start - drop
        for layer in range(len(self._tokens)):
            keys, values = self._windows(layer)
            values[:, start : start + kept] = values[:, start + drop : stop].clone()
            keys[:, start : start + kept] = rotate(keys[:, start + drop : stop], rotation).to(keys.dtype)

    def _windows(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values [B, T, H, D] of the tokens in use."""
        batch, heads, width = self._shape
        tokens = self._tokens[layer]
        numbers = batch * heads * tokens * width
        keys, values = (pages[layer, :numbers].view(batch, heads, tokens, width) for pages in self._pages)
        return keys.transpose(1, 2), values.transpose(1, 2)

    def _resize(self, layer: int, kept: int, tokens: int) -> None:
        """Make the window of ``layer`` one of ``tokens`` tokens, with the first ``kept`` in it."""
        before = [window[:, :kept].clone() for window in self._windows(layer)]
        self._tokens[layer] = tokens
        for window, old in zip(self._windows(layer), before, strict=True):
            window[:, :kept] = old


def _own_pages(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Zeros in pages asked of the system, not of the allocator, and given back with the tensor.

    Storage lives for a shot, what passes allocate for milliseconds; from one heap, films that alternate leave holes
    between them that no later one fits, and a studio's process grows.
    """
    count = math.prod(shape)
    return torch.frombuffer(mmap.mmap(-1, count * dtype.itemsize), dtype=dtype).view(*shape)
