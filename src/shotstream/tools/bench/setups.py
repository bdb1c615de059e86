"""Setups for measuring: as shipped, or with speed-ups switched off or on; and the story that is told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from shotstream.checkpoints.quantisation import check_eight_bit, keep_in_eight_bits
from shotstream.core.errors import InputError
from shotstream.core.story import Shot, Story
from shotstream.families.preset import SamplerSettings
from shotstream.models.attention import Backend, check_backend
from shotstream.models.caches import KeyValueStorage, Storage
from shotstream.sampling.gpu_speedups import GPU_SPEEDUPS
from shotstream.sampling.prompts import CachedTextEncoder, PromptCache
from shotstream.sampling.shot_generator import ShotGenerator
from shotstream.sampling.streaming import StreamingShot
from shotstream.tools.bench.naive import CloningStorage

if TYPE_CHECKING:
    from shotstream.film.director import Director

GLOBAL_CAPTION = "A red fox with a blue hat lives in a snowy forest at night."
FRAMINGS = ("Wide shot.", "Medium shot.", "Close-up.", "A view from afar.", "A closer view.")
ACTIONS = (
    "The fox walks to the left.",
    "It waves hello.",
    "The fox runs to the right.",
    "It stands still in the snow.",
    "The fox dances in the forest.",
    "It jumps up and down.",
    "The fox looks to the left.",
    "It is fast asleep.",
    "The fox spins around.",
    "It strolls through the woods.",
)
STRIDE = 7  # shares no factor with their number: neighbours differ in both, and none comes twice

CAPTIONS = tuple(f"{framing} {action}" for framing, action in product(FRAMINGS, ACTIONS))


def captions(count: int) -> tuple[str, ...]:
    """``count`` captions of which no two within :data:`CAPTIONS`'s length are equal."""
    return tuple(CAPTIONS[STRIDE * index % len(CAPTIONS)] for index in range(count))


def script(shots: int, seconds: float | None = None) -> Story:
    """A story of that many shots, each ``seconds`` long (None: the preset's usual length)."""
    told = tuple(Shot(caption=caption, seconds=seconds) for caption in captions(shots))
    return Story(global_caption=GLOBAL_CAPTION, seed=1, shots=told)


KERNELS: dict[str, str] = {
    "cudnn": "attention by cuDNN's kernel",
    "fa3": "attention by FlashAttention 3",
    "fa4": "attention by FlashAttention 4",
}
Dtype = Literal["auto", "float32", "bfloat16"]
Change = Callable[[ShotGenerator], None]
Load = Callable[[Dtype, bool], "Director"]  # number format, and whether with the light decoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """``overlap``: shots go into the MP4 while the next is made. ``prepare``: the context pass runs when a shot ends.
    ``read_ahead``: a prompt is read before it is asked for. ``light_decoder``: also where the model is not loaded with
    it anyway. ``changes``: what else is done to the shot generator."""

    dtype: Dtype = "auto"
    overlap: bool = True
    prepare: bool = True
    read_ahead: bool = False
    light_decoder: bool = False
    changes: tuple[Change, ...] = ()

    def director(self, load: Load) -> Director:
        """A director set up so, over the model that ``load`` gives."""
        from shotstream.film.director import Director  # films need PyAV, shots do not

        shipped = load(self.dtype, self.light_decoder)
        return Director(
            self.over(shipped.generator),
            model_name=shipped.model_name,
            model_version=shipped.model_version,
            words=shipped.known_words(),
        )

    def over(self, shots: ShotGenerator) -> ShotGenerator:
        """A generator set up so, of the same model and codecs as ``shots``, with caches of its own."""
        own = _own(shots)
        for change in self.changes:
            change(own)
        return own


@dataclass(frozen=True, kw_only=True, slots=True)
class Speedup:
    """One speed-up. ``switch`` turns it off where it ``ships_on``, else on; ``beside`` names others that must be off
    to see it; ``acts_on``: what else it could not change is not measured; ``settling``: shots made before it is;
    ``gpu_only``: refused on a CPU, where it is slower or does not exist."""

    what: str
    switch: Callable[[Setup], Setup]
    ships_on: bool = True
    beside: tuple[str, ...] = ()
    acts_on: Literal["all", "film", "first frame"] = "all"
    settling: int = 1
    gpu_only: bool = False


def refuse_on_cpu(names: Iterable[str]) -> None:
    """Raise :class:`InputError` if one of ``names`` is only worth measuring on a GPU."""
    for name in names:
        if SPEEDUPS[name].gpu_only:
            raise InputError(f"{name}: is for GPUs; leave it out, or measure on one with --device cuda")


def setup_of(switched: Iterable[str], dtype: Dtype = "auto") -> Setup:
    """As it ships, but for the speed-ups named. Raises :class:`InputError` for a name that is none."""
    setup = Setup(dtype=dtype)
    for name in switched:
        if name not in SPEEDUPS:
            raise InputError(f"no speed-up is called {name!r}; known: {', '.join(SPEEDUPS)}")
        setup = SPEEDUPS[name].switch(setup)
    return setup


def _own(shots: ShotGenerator) -> ShotGenerator:
    """A generator of the same model and codecs with caches of its own."""
    return ShotGenerator(
        shots.model,
        shots.text_encoder.encoder,
        shots.codec,
        shots.preset,
        fuse=shots.fuse,
        cache_place=shots.cache_place,
    )


def _changed(change: Change) -> Callable[[Setup], Setup]:
    return lambda setup: replace(setup, changes=(*setup.changes, change))


def _shots_as(part: type[StreamingShot]) -> Callable[[Setup], Setup]:
    """Shots with ``part`` put over whatever they are already."""

    def change(shots: ShotGenerator) -> None:
        shots.shot_type = type(part.__name__, (part, shots.shot_type), {})

    return _changed(change)


def _with_own_model(shots: ShotGenerator, *, fused: bool) -> None:
    """What is done to the model from now on is done to these shots' alone."""
    shots.read_by(copy.deepcopy(shots.model).fuse_(fused))


def _forget_timesteps(shots: ShotGenerator) -> None:
    _with_own_model(shots, fused=True)
    shots.model.known_times.most = 0


def _forget_prompts(shots: ShotGenerator) -> None:
    text = CachedTextEncoder(shots.text_encoder.encoder, kept=0)
    shots.text_encoder = shots.context.text_encoder = text
    shots.prompts = PromptCache(shots.model, text, shots.prompts.branches, kept=0)


def _forget_frames(shots: ShotGenerator) -> None:
    shots.context.encoded.kept = 0


def _separate_refresh(shots: ShotGenerator) -> None:
    shots.fuse = False


def _run_ahead(shots: ShotGenerator) -> None:
    shots.run_ahead = True


def _sampled(change: Callable[[SamplerSettings], SamplerSettings]) -> Callable[[Setup], Setup]:
    """Blocks made as ``change`` says, out of how the model makes them."""

    def sampled_so(shots: ShotGenerator) -> None:
        shots.sample_by(change(shots.settings))

    return _changed(sampled_so)


def _unfused(shots: ShotGenerator) -> None:
    _with_own_model(shots, fused=False)


def _all_for_gpus(shots: ShotGenerator) -> None:
    for one in GPU_SPEEDUPS.values():
        one.switch_on(shots)


def _in_fp8(shots: ShotGenerator) -> None:
    check_eight_bit("fp8-matmuls", shots.model.device)
    _with_own_model(shots, fused=False)
    keep_in_eight_bits(shots.model, "fp8-matmuls")


def _attending_by(kernel: str) -> Callable[[Setup], Setup]:
    """Attention by ``kernel``, where it is to be had."""
    backend = cast(Backend, kernel)

    def change(shots: ShotGenerator) -> None:
        model = copy.copy(shots.model)
        check_backend(backend, model.device, model.dtype, model.config.head_dim)
        model.backend = backend
        shots.read_by(model)

    return _changed(change)


class ClonedCaches(StreamingShot):
    """Every write of keys and values copies a layer's whole cache."""

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        return CloningStorage(self.allocate(KeyValueStorage, latents, max_frames))


class GappedCaches(StreamingShot):
    """Keys and values stay where they are written, with room for later ones between the heads."""

    def make_storage(self, latents: Tensor, max_frames: int) -> Storage:
        return self.allocate(KeyValueStorage, latents, max_frames)


class AnglesInEveryPass(StreamingShot):
    """Rotary angles are computed in every pass."""

    def rotations_at(self, frame: int, frames: int) -> Tensor:
        return self.rotations_of(frame, frames)


class EveryBlockRefreshed(StreamingShot):
    """Every block gets a refresh pass of its own as soon as it is finished, the last one too."""

    @torch.no_grad()
    def finish(self, clean: Tensor) -> None:
        super().finish(clean)
        self.flush()


SPEEDUPS = {
    "bf16": Speedup(what="bfloat16 matmuls and codec", switch=lambda setup: replace(setup, dtype="float32")),
    "cache-views": Speedup(what="caches that are views of one allocation, not copies", switch=_shots_as(ClonedCaches)),
    "dense-caches": Speedup(
        what="keys and values without gaps, so that no matmul copies them", switch=_shots_as(GappedCaches)
    ),
    "angles-once": Speedup(what="rotary angles once per shot", switch=_shots_as(AnglesInEveryPass)),
    "timesteps-once": Speedup(what="timestep embeddings kept for later blocks", switch=_changed(_forget_timesteps)),
    "prompts-once": Speedup(
        what="a prompt's embedding, keys and values once, kept for later shots",
        switch=_changed(_forget_prompts),
    ),
    "frames-once": Speedup(what="condition frames read and encoded once", switch=_changed(_forget_frames)),
    "context-ahead": Speedup(
        what="context cache filled when a shot ends, before the next prompt is known",
        switch=lambda setup: replace(setup, prepare=False),
        acts_on="first frame",
    ),
    "last-refresh": Speedup(
        what="no refresh of a shot's last block",
        switch=_shots_as(EveryBlockRefreshed),
        beside=("no-refresh", "fused-refresh"),
    ),
    "fused-refresh": Speedup(
        what="refresh of a block and first step of the next in one pass",
        switch=_changed(_separate_refresh),
        beside=("no-refresh",),
    ),
    "overlap-encode": Speedup(
        what="a shot goes into the MP4 while the next is made",
        switch=lambda setup: replace(setup, overlap=False),
        acts_on="film",
    ),
    "overlap-decode": Speedup(
        what="a block is decoded while the next is denoised", switch=_changed(_run_ahead), ships_on=False
    ),
    "text-ahead": Speedup(
        what="a prompt read while it is typed or waits in the queue",
        switch=lambda setup: replace(setup, read_ahead=True),
        acts_on="first frame",
        ships_on=False,
    ),
    "fused-linear": Speedup(
        what="q, k, v in one matmul, GELU fused into its own, weights in oneDNN's layout",
        switch=_changed(_unfused),
    ),
    "three-steps": Speedup(
        what="a block in three steps: changes frames",
        switch=_sampled(lambda settings: settings.fewer(3)),
        ships_on=False,
    ),
    "two-steps": Speedup(
        what="a block in two steps: changes frames",
        switch=_sampled(lambda settings: settings.fewer(2)),
        ships_on=False,
    ),
    "no-refresh": Speedup(
        what="no refresh pass at all: changes frames",
        switch=_sampled(lambda settings: settings.model_copy(update={"refresh": True})),
    ),
    "window-2": Speedup(
        what="a block sees only the one before it of its shot: changes frames",
        switch=_sampled(lambda settings: settings.model_copy(update={"window": 2})),
        ships_on=False,
    ),
    "light-decoder": Speedup(
        what="a decoder of half as many operations: changes frames",
        switch=lambda setup: replace(setup, light_decoder=True),
        ships_on=False,
    ),
    **{
        name: Speedup(
            what=one.what, switch=_changed(one.switch_on), ships_on=False, settling=one.settling, gpu_only=True
        )
        for name, one in GPU_SPEEDUPS.items()
    },
    "gpu-together": Speedup(
        what=f"{', '.join(GPU_SPEEDUPS)} together",
        switch=_changed(_all_for_gpus),
        ships_on=False,
        settling=max(one.settling for one in GPU_SPEEDUPS.values()),
        gpu_only=True,
    ),
    **{
        name: Speedup(what=what, switch=_attending_by(name), ships_on=False, gpu_only=True)
        for name, what in KERNELS.items()
    },
    "fp8-matmuls": Speedup(
        what="the layers' matmuls in fp8, row by row: changes frames",
        switch=_changed(_in_fp8),
        ships_on=False,
        gpu_only=True,
    ),
}
