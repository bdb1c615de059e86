"""One transformer for teacher, student and critic: Wan's network, with positions, visibility and memory as data.

Axes: B batch, F latent frames, N tokens of one frame, C width, S captions, W caption tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from shotstream.core.flow import STEPS, flow_from_x0
from shotstream.models.attention import Backend, TokenSegment
from shotstream.models.caches import Cache, CaptionCache, CaptionsRead
from shotstream.models.config import TransformerConfig
from shotstream.models.layers import (
    Head,
    Layer,
    Pass,
    PatchEmbedding,
    normal_,
    sinusoidal_embedding,
    unpatchify,
)
from shotstream.models.rope import rotary_angles, rotation
from shotstream.models.timesteps import KnownTimes, Times
from shotstream.models.visibility import Layout, everything, segments

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
        self._run_layer: LayerRunner = _run_layer
        self._run_layer_with_cache: LayerRunner = _run_layer
        self._initialise()

    def _initialise(self) -> None:
        """Wan's start: Xavier products, small embeddings, a silent head."""
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

    def product_names(self) -> frozenset[str]:
        """Names of the matrix products' parameters: those that may be narrow."""
        wide = ("time_embedding.", "time_projection.")
        return frozenset(
            f"{name}.{parameter}"
            for name, module in self.named_modules()
            if isinstance(module, nn.Linear | PatchEmbedding) and not name.startswith(wide)
            for parameter in ("weight", "bias")
        )

    def narrow_(self, dtype: torch.dtype) -> Transformer:
        """Keep the matrix products' weights in ``dtype``; norms, modulation and timestep layers in float32."""
        products = self.product_names()
        for name, parameter in self.named_parameters():
            parameter.data = parameter.data.to(dtype if name in products else torch.float32)
        return self

    def fuse_(self, on: bool = True) -> Transformer:
        """Let every layer do with fewer, larger operations, for weights that stay as they are (see Layer.fuse_)."""
        for layer in self._layers():
            layer.fuse_(on)
        return self

    def compile_layers(self) -> None:
        """From now on let torch's compiler fuse the layers' small operations in passes without a cache (training).

        Changes no weights and no names. The first pass of every new shape takes half a minute longer; needs a
        C++ compiler on CPU. Measured in docs/log.md.
        """
        self._run_layer = torch.compile(_run_layer, dynamic=False)

    def run_layers_by(self, runner: LayerRunner) -> None:
        """From now on let ``runner`` call every layer, with its arguments: to keep less of it, or to look at it."""
        self._run_layer = self._run_layer_with_cache = runner

    def encode_captions(self, captions: Tensor) -> CaptionCache:
        """Cross-attention keys and values of ``captions`` [B, S, W, text_dim]: once per prompt, not per pass."""
        return self._encode(captions)

    def _encode(self, captions: Tensor) -> CaptionCache:
        text = self.text_embedding(captions.to(self.dtype))
        pairs = [layer.cross_attn.caption_keys_values(text) for layer in self._layers()]
        return CaptionCache(tuple(k for k, _ in pairs), tuple(v for _, v in pairs))

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        captions: Tensor | CaptionCache,
        *,
        caption_index: Tensor | None = None,
        positions: Tensor | None = None,
        shot_index: Tensor | None = None,
        turn: Tensor | None = None,
        layout: Layout | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Flow of ``latents`` [B, F, channels, height, width], in the same shape and float32.

        timesteps: [B, F] in 0..1000, or [B] for all frames of a sample alike.
        captions: [B, S, W, text_dim], or their cache. caption_index: [B, F'] or [F'], F' <= F, the caption each
        of the first F' frames reads; those behind them read the last caption; None: all read caption 0.
        positions: [F] or [B, F], frame positions in the concatenated sequence; None counts from 0. shot_index:
        [F] or [B, F], true shot numbers (the rotary phase); None is shot 0. turn: the rotation of the frames' tokens,
        where it is known already; positions and shot_index are not read then. layout: who sees whom; None shows
        every frame every other. cache: what the frames also see, and where their own keys and values are placed.
        """
        batch, frames, _, height, width = latents.shape
        rows, columns = height // self.config.patch, width // self.config.patch
        if not isinstance(captions, CaptionCache):
            captions = self._encode(captions)  # not the public method: whoever wraps that wraps whole calls
        if turn is None:
            positions = torch.arange(frames) if positions is None else positions
            shot_index = torch.zeros(1) if shot_index is None else shot_index
            turn = rotation(rotary_angles(positions, shot_index, rows, columns, self.config), latents.device)
        call = Pass(
            turn=turn,
            plan=_token_plan(layout or everything(frames), rows * columns, cache.end if cache else 0),
            cache=cache,
            backend=self.backend,
        )
        layers = (*self.time_embedding.parameters(), *self.time_projection.parameters())
        time, modulation = self.known_times.of(timesteps.reshape(batch, -1), layers, self._timesteps)
        read = _caption_index(caption_index, captions.captions, batch, latents.device)
        run = self._run_layer if cache is None else self._run_layer_with_cache
        x = self.patch_embedding(latents).float()
        for index, layer in enumerate(self._layers()):
            x = run(layer, x, modulation, captions.read(index, read), call, index)
        out = unpatchify(self.head(x, time).float(), rows, columns, self.config.patch)
        return out if self.config.prediction == "flow" else self._flow(latents, out, timesteps)

    def _flow(self, latents: Tensor, x0: Tensor, timesteps: Tensor) -> Tensor:
        """The flow that leads from ``latents`` to the predicted ``x0``, with sigma held above ``x0_sigma``."""
        least = STEPS * self.config.x0_sigma
        at = timesteps.to(x0.device).reshape(len(x0), -1).clamp(min=least)
        return flow_from_x0(latents.float(), x0, at)

    def _layers(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], iter(self.blocks))

    def _timesteps(self, timesteps: Tensor) -> Times:
        """[B, F or 1] -> embedding [B, F or 1, C] and six-way modulation [B, F or 1, 6, C], float32."""
        with torch.autocast(self.device.type, enabled=False):
            # float64 angles are computed where the timesteps are: not every device has float64.
            time = self.time_embedding(sinusoidal_embedding(timesteps, self.config.freq_dim).to(self.device))
            return time, self.time_projection(time).unflatten(-1, (6, -1))


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
