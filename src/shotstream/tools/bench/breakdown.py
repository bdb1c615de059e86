"""Where the time of a film and of a block goes, by part and by kind of operation: a stopwatch, and what it measures.

It counts what is done in one thread, one thing after the other: measure with nothing side by side.
"""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import torch
from torch.autograd.profiler import profile

from shotstream.codecs.protocols import StreamDecoder
from shotstream.core.devices import wait_for
from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.render import render
from shotstream.film.report import Progress
from shotstream.models.caches import Cache, ContextCache
from shotstream.models.config import forward_flops
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import Layout, segments
from shotstream.sampling.context import BlankShot
from shotstream.sampling.prompts import CachedTextEncoder, PromptCache
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.tools.bench.figures import BlockTime, Breakdown, Stretch
from shotstream.tools.bench.setups import GLOBAL_CAPTION, captions

Owner = TypeVar("Owner")
Done = TypeVar("Done")


class Watch:
    """Adds up ``seconds`` per name; a part within a part counts for the inner one alone. ``stretches``: all, in order
    of their ends, on the clock of :func:`time.perf_counter`."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.stretches: list[Stretch] = []
        self._device = device
        self._inner: list[float] = []  # seconds of finished parts within each open one

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done in here for ``name``."""
        started = self._now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            ended = self._now()
            self.seconds[name] += ended - started - self._inner.pop()
            self.stretches.append(Stretch(name=name, start=started, end=ended))
            if self._inner:
                self._inner[-1] += ended - started

    def timed(self, name: str, work: Callable[..., Done]) -> Callable[..., Done]:
        """``work``, counted for ``name``."""

        def run(*given: Any, **named: Any) -> Done:
            with self.part(name):
                return work(*given, **named)

        return run

    def _now(self) -> float:
        wait_for(self._device)
        return perf_counter()


def under_watch(shots: ShotGenerator, watch: Watch) -> ShotGenerator:
    """The generator ``shots`` with every part under the watch, one thing after the other."""
    plain, coder = shots.text_encoder.encoder, shots.codec

    def decoder() -> StreamDecoder:
        made = coder.decoder()
        return _with(made, push=watch.timed("decode", made.push))

    codec = _with(coder, decode=watch.timed("decode", coder.decode), decoder=decoder)
    text = CachedTextEncoder(_with(plain, encode=watch.timed("text", plain.encode)), shots.text_encoder.kept)
    timed = ShotGenerator(
        shots.model, text.encoder, codec, shots.preset, role=shots.role, fuse=shots.fuse, shot_type=shots.shot_type
    )
    timed.text_encoder = timed.context.text_encoder = text
    timed.context.encoded.kept = shots.context.encoded.kept
    timed.prompts = PromptCache(shots.prompts.model, text, shots.prompts.branches, shots.prompts.kept)
    timed.prompts.__dict__["read"] = watch.timed("text", timed.prompts.read)
    timed.__dict__["prepare"] = watch.timed("context", timed.prepare)
    return timed


def _with(owner: Owner, **methods: Callable[..., Any]) -> Owner:
    """A copy of ``owner`` with other ``methods``."""
    changed = copy.copy(owner)
    changed.__dict__.update(methods)
    return changed


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


# Kinds by what an operation's name contains; the first that fits.
KINDS = (
    ("convolutions", ("conv",)),
    ("attention softmax", ("softmax", "scaled_dot_product")),
    ("matmuls", ("mm", "matmul", "linear")),
    ("norms", ("norm",)),
    ("activations", ("gelu", "silu")),
    ("copies and casts", ("copy", "cat", "clone", "to", "contiguous", "index", "fill", "empty", "zeros")),
)
OTHER, BETWEEN = "other arithmetic", "between operations"


@dataclass(frozen=True, slots=True)
class Looked:
    """``denoise_flops``: operations per second of denoising, refreshes included."""

    breakdown: Breakdown
    block: BlockTime
    denoise_flops: float


def look(director: Director, story: Story) -> Looked:
    """Make ``story`` under a watch. What is timed is what ships, but one thing after the other."""
    watch = Watch(director.device)
    timed = under_watch(director.generator, watch)
    watched = Director(timed, model_name=director.model_name, model_version=director.model_version)
    told: list[tuple[Progress, float]] = []
    caption_tokens = timed.text_encoder.text_len
    with TemporaryDirectory(prefix="shotstream-bench-") as folder, PassLog(timed.model, watch, caption_tokens) as log:

        def on_progress(progress: Progress) -> None:
            if not told:  # what came before was the warm-up
                watch.seconds.clear()
                log.flops.clear()
            told.append((progress, perf_counter()))

        output = Path(folder) / "film.mp4"
        report = render(watched, story, output, storyboard=False, overlap=False, on_progress=on_progress)
        ended = perf_counter()
    denoising = report.frames / report.denoise_fps
    refresh = watch.seconds["refresh"] + log.refresh_share * watch.seconds["refresh + step"]
    encodes = _encode_seconds(told, ended)
    known = {
        "text": watch.seconds["text"],
        "context_pass": watch.seconds["context"] + watch.seconds["context pass"],
        "denoising": denoising - refresh,
        "cache_refresh": refresh,
        "decode": watch.seconds["decode"],
        "encode": sum(encodes),
    }
    total = ended - told[0][1]
    breakdown = Breakdown(frames=report.frames, total=total, rest=total - sum(known.values()), **known)
    flops = sum(count for kind, count in log.flops.items() if kind != "context pass")
    block = _block(told, watch.stretches, encodes[-1], watched)
    return Looked(breakdown, block, flops / denoising)


def _encode_seconds(told: list[tuple[Progress, float]], ended: float) -> list[float]:
    """Per shot: from its last block until the next shot is begun, or the film is closed."""
    nexts = [*told[1:], (None, ended)]
    return [
        after - at
        for (progress, at), (_, after) in zip(told, nexts, strict=True)
        if progress.blocks_done == progress.blocks
    ]


def _block(
    told: list[tuple[Progress, float]], stretches: list[Stretch], encode: float, director: Director
) -> BlockTime:
    """The second block of the last shot (its first, if it has no other), and its share of the shot's encoding."""
    last = [(progress, at) for progress, at in told if progress.shot == told[-1][0].shot]
    index = min(1, last[0][0].blocks - 1)
    start, end = last[index][1], last[index + 1][1]
    inside = [
        Stretch(name=one.name, start=one.start - start, end=one.end - start)
        for one in stretches
        if start <= one.start and one.end <= end
    ]
    geometry = director.geometry
    frames = geometry.shot_frames(index + 1) - (geometry.shot_frames(index) if index else 0)
    share = encode * frames / geometry.shot_frames(last[0][0].blocks)
    inside.append(Stretch(name="encode", start=end - start, end=end - start + share))
    return BlockTime(frames=frames, timeline=tuple(inside), operations=operations_of_a_block(director))


def operations_of_a_block(director: Director) -> dict[str, float]:
    """Seconds by kind for the second block of a shot: its passes, and its decoding. Profiling costs some of them."""
    request = ShotRequest(prompt=f"{GLOBAL_CAPTION} {captions(1)[0]}", blocks=2, noise=NamedNoise(0, shot=1))
    blocks = director.make(request, director.choose_context([BlankShot(director.geometry)], request.prompt))
    next(blocks)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler talks about itself on standard error
    with profile(use_kineto=False) as profiler:
        started = perf_counter()
        next(blocks)
        whole = perf_counter() - started
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = kind_of(event.key)
        seconds[kind] = seconds.get(kind, 0.0) + event.self_cpu_time_total / 1e6
    seconds[BETWEEN] = max(0.0, whole - sum(seconds.values()))
    return dict(sorted(seconds.items(), key=lambda one: -one[1]))


def kind_of(operation: str) -> str:
    """The kind of the operation with this name."""
    name = operation.rpartition("::")[2]
    return next((kind for kind, parts in KINDS if any(part in name for part in parts)), OTHER)
