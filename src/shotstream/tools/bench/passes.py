"""Every pass of a transformer while it is watched: what for, how long, how many operations."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, Self

import torch

from shotstream.models.caches import Cache, ContextCache
from shotstream.models.flops import forward_flops
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import Layout, segments
from shotstream.tools.bench.watch import Watch

Kind = Literal["context pass", "step", "refresh", "refresh + step"]


class PassLog:
    """``with PassLog(model, watch, caption_tokens) as log``: counts passes and their operations, and times them.

    ``flops``: operations per kind. ``refresh_share``: how much of a fused pass is refresh, by its queries.
    """

    def __init__(self, model: Transformer, watch: Watch, caption_tokens: int) -> None:
        self.model = model
        self.watch = watch
        self.caption_tokens = caption_tokens
        self.flops: dict[Kind, float] = {}
        self.refresh_share = 0.0
        self._open: list[AbstractContextManager[None]] = []

    def __enter__(self) -> Self:
        self._hooks = [
            self.model.register_forward_pre_hook(self._begin, with_kwargs=True),
            self.model.register_forward_hook(self._end, with_kwargs=True, always_call=True),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _begin(self, model: torch.nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        cache, layout = options["cache"], options.get("layout")
        kind = _kind(cache, inputs[1], layout)
        self.flops[kind] = self.flops.get(kind, 0.0) + self._flops(inputs[0].shape, cache, layout)
        if kind == "refresh + step" and layout:
            self.refresh_share = sum(tag.history for tag in layout) / len(layout)
        part = self.watch.part(kind)
        part.__enter__()
        self._open.append(part)

    def _end(self, *_: object) -> None:
        self._open.pop().__exit__(None, None, None)

    def _flops(self, shape: torch.Size, cache: Cache, layout: Layout | None) -> float:
        """Operations of a pass over latents of ``shape`` [B, F, C, h, w]."""
        config = self.model.config
        per_frame = (shape[3] // config.patch) * (shape[4] // config.patch)
        pairs = sum(_length(one.queries) * sum(map(_length, one.keys)) for one in segments(layout)) if layout else 0
        seen = (pairs / shape[1] if layout else shape[1]) * per_frame
        return shape[0] * forward_flops(config, shape[1] * per_frame, cache.end + seen, self.caption_tokens)


def _kind(cache: Cache, timesteps: torch.Tensor, layout: Layout | None) -> Kind:
    if isinstance(cache, ContextCache):
        return "context pass"
    if layout is not None:
        return "refresh + step"
    return "step" if bool(timesteps.any()) else "refresh"


def _length(run: slice) -> int:
    return int(run.stop - run.start)
