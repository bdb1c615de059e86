"""One transformer for teacher, student and critic: Wan's network, with positions, visibility and caches as data.

Axes: B batch, F latent frames, N tokens of one frame, C width, S captions, W caption tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Annotated, cast

import torch
from torch import Tensor, nn

from shotstream.core.flow import STEPS
from shotstream.models.attention import Backend, TokenSegment, use_flash_of
from shotstream.models.caches import Cache, CaptionCache, CaptionsRead
from shotstream.models.config import TransformerConfig
from shotstream.models.layers import (
    Head,
    Latents,
    Layer,
    Pass,
    PatchEmbedding,
    normal_,
    sinusoidal_embedding,
    unpatchify,
)
from shotstream.models.rope import rotary_angles, rotation
from shotstream.models.visibility import Layout, everything, segments

MOST_SHAPES = 64  # that the compiler keeps code for
COMPILED_CAPTIONS = 32  # tokens: captions of compiled layers are multiples of it
LayerRunner = Callable[[nn.Module, Tensor, Tensor, CaptionsRead, Pass, int], Tensor]


def _run_layer(layer: nn.Module, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int) -> Tensor:
    """One layer; a function of its own so that one compiled copy serves all layers."""
    return cast(Tensor, layer(x, time, captions, call, index))


class Transformer(nn.Module):
    """Predicts the flow v = n - x0 of every latent frame it is shown.

    The same call serves every role; what differs is data:

    - teacher and critic: condition and noisy frames in one sequence, ``layout`` None or ``next_shot``;
    - causal training: ``layout`` ``block_causal`` or ``clean_and_noisy``;
    - streaming: a context pass and block passes with ``cache`` set: the frames given see all that the
      cache keeps, and each other according to ``layout``.
    """

    def __init__(self, config: TransformerConfig, backend: Backend = "auto") -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.backend: Backend = backend
        self.patch_embedding = PatchEmbedding(config)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim * 6))
        self.blocks = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = Head(config)
        self.known_times = KnownTimes()
        self._fused = False
        self._caption_multiple = 1  # of what the length of captions without padding is
        self._run_layer: LayerRunner = _run_layer
        self._run_layer_with_cache: LayerRunner = _run_layer
        self._initialise()

    def _initialise(self) -> None:
        """As Wan begins: Xavier for linear layers, small embeddings, zeros for the head."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        for module in (*self.text_embedding, *self.time_embedding):
            if isinstance(module, nn.Linear):
                normal_(module.weight, std=0.02)
        nn.init.zeros_(self.head.head.weight)

    @property
    def dtype(self) -> torch.dtype:
        return self.head.head.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.head.head.weight.device

    def matmul_names(self) -> frozenset[str]:
        """Names of the matmuls' parameters: those that may be in half precision."""
        wide = ("time_embedding.", "time_projection.")
        return frozenset(
            f"{name}.{parameter}"
            for name, module in self.named_modules()
            if isinstance(module, nn.Linear | PatchEmbedding) and not name.startswith(wide)
            for parameter in ("weight", "bias")
        )

    def narrow_(self, dtype: torch.dtype) -> Transformer:
        """Keep the matmuls' weights in ``dtype``; norms, modulation and timestep layers in float32."""
        matmuls = self.matmul_names()
        for name, parameter in self.named_parameters():
            parameter.data = parameter.data.to(dtype if name in matmuls else torch.float32)
        return self

    @property
    def fused(self) -> bool:
        """Whether its layers do with fewer, larger operations (:meth:`fuse_`)."""
        return self._fused

    def fuse_(self, on: bool = True) -> Transformer:
        """Let every layer do with fewer, larger operations, for weights that stay as they are (see Layer.fuse_)."""
        for layer in self._layers():
            layer.fuse_(on)
        self._fused = on
        return self

    def compile_layers(self) -> None:
        """From now on let torch's compiler fuse the layers' small operations in passes without a cache (training).

        Changes no weights and no names. The first pass of every new shape takes half a minute longer (so captions get
        few lengths); needs a C++ compiler on CPU. Measured in development/log.md.
        """
        compile_many_shapes()
        self._run_layer = torch.compile(_run_layer, dynamic=False)
        self._caption_multiple = COMPILED_CAPTIONS

    def run_layers_by(self, runner: LayerRunner) -> None:
        """From now on let ``runner`` call every layer, with its arguments: to keep less of it, or to look at it."""
        self._run_layer = self._run_layer_with_cache = runner

    def compiled_by(self, runner: LayerRunner) -> Transformer:
        """A model of these very weights, every layer of which ``runner`` calls, which compiles for each shape (so
        captions get few lengths)."""
        compile_many_shapes()
        other = copy.copy(self)
        other.run_layers_by(runner)
        other._caption_multiple = COMPILED_CAPTIONS
        return other

    def encode_captions(self, captions: Annotated[Tensor, "B S W text"]) -> CaptionCache:
        """Cross-attention keys and values of ``captions`` [B, S, W, text_dim]: once per prompt, not per pass."""
        return self._encode(captions)

    def _encode(self, captions: Tensor) -> CaptionCache:
        bias = None
        if self.config.caption_padding == "hidden":
            captions, bias = _without_padding(captions, self._caption_multiple)
        text = self.text_embedding(captions.to(self.dtype))
        pairs = [layer.cross_attn.caption_keys_values(text) for layer in self._layers()]
        return CaptionCache(tuple(k for k, _ in pairs), tuple(v for _, v in pairs), bias)

    def forward(
        self,
        latents: Latents,
        timesteps: Annotated[Tensor, "B | B F"],
        captions: Tensor | CaptionCache,
        *,
        caption_index: Tensor | None = None,
        positions: Tensor | None = None,
        shot_index: Tensor | None = None,
        rotations: Tensor | None = None,
        layout: Layout | None = None,
        cache: Cache | None = None,
    ) -> Latents:
        """Flow of ``latents`` [B, F, channels, height, width], in the same shape and float32.

        timesteps: [B, F] in 0..1000, or [B] for all frames of a sample alike.
        captions: [B, S, W, text_dim], or their cache. caption_index: [B, F'] or [F'], F' <= F, the caption each
        of the first F' frames reads; those behind them read the last caption; None: all read caption 0.
        positions: [F] or [B, F], frame positions in the concatenated sequence; None counts from 0. shot_index:
        [F] or [B, F], true shot numbers (the rotary phase); None is shot 0. rotations: of the frames' tokens, where
        they are known already; positions and shot_index are not read then. layout: who sees whom; None shows
        every frame every other. cache: what the frames also see, and where their own keys and values are placed.
        """
        batch, frames, _, height, width = latents.shape
        use_flash_of(self.backend)
        rows, columns = height // self.config.patch, width // self.config.patch
        if not isinstance(captions, CaptionCache):
            captions = self._encode(captions)  # not the public method: whoever wraps that wraps whole calls
        if rotations is None:
            positions = torch.arange(frames) if positions is None else positions
            shot_index = torch.zeros(1) if shot_index is None else shot_index
            rotations = rotation(rotary_angles(positions, shot_index, rows, columns, self.config), latents.device)
        if self._fused and not all(layer.still_fused() for layer in self._layers()):
            self.fuse_(False)  # somebody trains, moved, replaced or wrote to the weights
        call = Pass(
            rotations=rotations,
            plan=_token_plan(layout or everything(frames), rows * columns, cache.end if cache else 0),
            cache=cache,
            backend=self.backend,
        )
        layers = (*self.time_embedding.parameters(), *self.time_projection.parameters())
        time, modulation, sigma = self.known_times.of(timesteps.reshape(batch, -1), layers, self._timesteps)
        read = _caption_index(caption_index, captions.captions, batch, latents.device)
        run = self._run_layer if cache is None else self._run_layer_with_cache
        x = self.patch_embedding(latents).float()
        for index, layer in enumerate(self._layers()):
            x = run(layer, x, modulation, captions.read(index, read), call, index)
        out = unpatchify(self.head(x, time).float(), rows, columns, self.config.patch)
        return out if self.config.prediction == "flow" else self._flow(latents, out, sigma)

    def _flow(self, latents: Tensor, x0: Tensor, sigma: Tensor) -> Tensor:
        """The flow that leads from ``latents`` to the predicted ``x0``, with sigma held above ``x0_sigma``."""
        return (latents.float() - x0) / sigma[..., None, None, None]

    def _layers(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], iter(self.blocks))

    def _timesteps(self, timesteps: Tensor) -> Times:
        """Of timesteps [B, F or 1]: see :data:`Times`."""
        with torch.autocast(self.device.type, enabled=False):
            # float64 angles are computed where the timesteps are: not every device has float64.
            time = self.time_embedding(sinusoidal_embedding(timesteps, self.config.freq_dim).to(self.device))
            sigma = timesteps.clamp(min=STEPS * self.config.x0_sigma).double() / STEPS
            return time, self.time_projection(time).unflatten(-1, (6, -1)), sigma.float().to(self.device)


def _without_padding(captions: Tensor, multiple: int = 1) -> tuple[Tensor, Tensor | None]:
    """captions [B, S, W, D] as long as the longest of them, and the bias [B, S, W] that hides the ends of the others.

    Padding is zeros. A caption of nothing else (one that was dropped) is read as a single token of zeros.
    multiple: of what the length is, if there are as many tokens; hidden tokens fill the rest.
    """
    lengths = (captions != 0).any(-1).int().flip(-1).argmax(-1)  # of the padding behind each
    said = (captions != 0).any(-1).any(-1)
    lengths = torch.where(said, captions.shape[2] - lengths, 1)
    longest = min(-(-int(lengths.max()) // multiple) * multiple, captions.shape[2])
    if bool((lengths == longest).all()):
        return captions[:, :, :longest], None
    behind = torch.arange(longest, device=captions.device) >= lengths[..., None]
    return captions[:, :, :longest], torch.zeros(behind.shape, device=captions.device).masked_fill(behind, -torch.inf)


def _caption_index(index: Tensor | None, captions: int, batch: int, device: torch.device) -> Tensor | None:
    """[B, F'] on ``device``, or None where all frames read caption 0 and nothing need be gathered."""
    if index is None or captions == 1:
        return None
    return index.to(device).expand(batch, -1)


def _token_plan(layout: Layout, tokens_per_frame: int, cached: int) -> tuple[TokenSegment, ...]:
    """Frame segments in token units, behind ``cached`` tokens that everyone sees."""
    plan = []
    for queries, keys in segments(layout):
        runs = [slice(cached + run.start * tokens_per_frame, cached + run.stop * tokens_per_frame) for run in keys]
        if cached and runs[0].start == cached:
            runs[0] = slice(0, runs[0].stop)
        elif cached:
            runs.insert(0, slice(0, cached))
        plan.append((slice(queries.start * tokens_per_frame, queries.stop * tokens_per_frame), tuple(runs)))
    return tuple(plan)


def compile_many_shapes() -> None:
    """Let torch's compiler make code for :data:`MOST_SHAPES` shapes; beyond its limit nothing is compiled."""
    from torch._dynamo import config  # takes a second and a half

    config.recompile_limit = max(config.recompile_limit, MOST_SHAPES)


# Embedding [B, F or 1, C], six-way modulation [B, F or 1, 6, C] and sigma [B, F or 1], float32, where the weights are.
Times = tuple[Tensor, Tensor, Tensor]

MOST_KEPT = 64  # 50 shots of a film need a dozen; a solver with many steps starts over now and then


class KnownTimes:
    """Embeddings of timesteps, computed once for weights that do not change; ``most`` are kept."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self._known: dict[object, Times] = {}
        self._weights: tuple[Tensor, ...] = ()
        self._state: list[tuple[int, int]] = []

    def of(self, timesteps: Tensor, weights: Iterable[Tensor], compute: Callable[[Tensor], Times]) -> Times:
        """``compute(timesteps)`` [B, F or 1], or what it was when asked last with the same ``weights``.

        Nothing is kept of weights that learn or are no plain tensors (sharded, fake), or where looking at the
        timesteps would wait for a device.
        """
        weights = tuple(weights)
        plain = all(type(one) in (Tensor, nn.Parameter) for one in (timesteps, *weights))
        if not plain or timesteps.device.type != "cpu" or any(one.requires_grad for one in weights):
            return compute(timesteps)
        self._drop_unless(weights)
        key = (timesteps.shape, tuple(timesteps.flatten().tolist()))
        if key in self._known:
            return self._known[key]
        times = compute(timesteps)
        if len(self._known) >= self.most:
            self._known.clear()
        if self.most:
            self._known[key] = times
        return times

    def tensors(self) -> tuple[Times, ...]:
        """All that is kept, for whoever reads it by its address."""
        return tuple(self._known.values())

    def _drop_unless(self, weights: tuple[Tensor, ...]) -> None:
        """Keep what is known only if it is of these weights, unchanged."""
        state = [(one.data_ptr(), one._version) for one in weights]
        same = len(weights) == len(self._weights) and all(map(is_, weights, self._weights)) and state == self._state
        if not same:
            self._known.clear()
            self._weights, self._state = weights, state
