"""How a film is made for measuring: as it ships, or with speed-ups switched off (or, where they ship off, on)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from shotstream.core.errors import InputError
from shotstream.film.director import Director
from shotstream.models.presets import SamplerSettings
from shotstream.sampling.director import ShotDirector
from shotstream.sampling.prompts import PromptReader, TextOnce
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.tools.bench.int8 import in_int8
from shotstream.tools.bench.slower import AnglesInEveryPass, ClonedCaches, EveryBlockRemembered, GappedCaches

# Every number of remembered captions and every length of the caches is a shape of its own to the compiler.
COMPILED_SHOTS, MOST_SHAPES = 8, 64
Dtype = Literal["auto", "float32", "bfloat16"]
Change = Callable[[ShotDirector], None]
Load = Callable[[Dtype, bool], Director]  # number format, and whether with the light decoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """``overlap``: shots go into the MP4 while the next is made. ``prepare``: the context pass runs when a shot ends.
    ``read_ahead``: a prompt is read before it is asked for. ``light_decoder``: also where the model is not loaded with
    it anyway. ``changes``: what else is done to the shots' director."""

    dtype: Dtype = "auto"
    overlap: bool = True
    prepare: bool = True
    read_ahead: bool = False
    light_decoder: bool = False
    changes: tuple[Change, ...] = ()

    def director(self, load: Load) -> Director:
        """A director that works so, over the model that ``load`` gives."""
        shipped = load(self.dtype, self.light_decoder)
        shots = _own(shipped.shots)
        for change in self.changes:
            change(shots)
        return Director(
            shots,
            model_name=shipped.model_name,
            model_version=shipped.model_version,
            words=shipped.known_words(),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Speedup:
    """One speed-up. ``switch`` turns it off where it ``ships_on``, else on; ``beside`` names others that must be off
    to see it; ``acts_on``: what else it could not change is not measured; ``settling``: shots made before it is."""

    what: str
    switch: Callable[[Setup], Setup]
    ships_on: bool = True
    beside: tuple[str, ...] = ()
    acts_on: Literal["all", "film", "first frame"] = "all"
    settling: int = 1


def setup_of(switched: Iterable[str], dtype: Dtype = "auto") -> Setup:
    """As it ships, but for the speed-ups named. Raises :class:`InputError` for a name that is none."""
    setup = Setup(dtype=dtype)
    for name in switched:
        if name not in SPEEDUPS:
            raise InputError(f"no speed-up is called {name!r}; known: {', '.join(SPEEDUPS)}")
        setup = SPEEDUPS[name].switch(setup)
    return setup


def _own(shots: ShotDirector) -> ShotDirector:
    """A director of the same model and codecs with memories of its own."""
    return ShotDirector(
        shots.model,
        shots.text_encoder.encoder,
        shots.codec,
        settings=shots.settings,
        schedule=shots.schedule,
        policy=shots.memory.policy,
        captions=shots.memory.captions,
        fuse=shots.fuse,
        cache_place=shots.cache_place,
    )


def _changed(change: Change) -> Callable[[Setup], Setup]:
    return lambda setup: replace(setup, changes=(*setup.changes, change))


def _shots_as(part: type[StreamingShot]) -> Callable[[Setup], Setup]:
    """Shots with ``part`` put over whatever they are already."""

    def change(shots: ShotDirector) -> None:
        shots.shot_type = type(part.__name__, (part, shots.shot_type), {})

    return _changed(change)


def _with_own_model(shots: ShotDirector, *, fused: bool) -> None:
    """What is done to the model from now on is done to these shots' alone."""
    shots.model = copy.deepcopy(shots.model).fuse_(fused)
    shots.reader = PromptReader(shots.model, shots.text_encoder, shots.reader.branches, kept=shots.reader.kept)


def _forget_timesteps(shots: ShotDirector) -> None:
    _with_own_model(shots, fused=True)
    shots.model.known_times.most = 0


def _forget_prompts(shots: ShotDirector) -> None:
    text = TextOnce(shots.text_encoder.encoder, kept=0)
    shots.text_encoder = shots.memory.text_encoder = text
    shots.reader = PromptReader(shots.model, text, shots.reader.branches, kept=0)


def _forget_frames(shots: ShotDirector) -> None:
    shots.memory.encoded.kept = 0


def _separate_refresh(shots: ShotDirector) -> None:
    shots.fuse = False


def _run_ahead(shots: ShotDirector) -> None:
    shots.run_ahead = True


def _sampled(change: Callable[[SamplerSettings], SamplerSettings]) -> Callable[[Setup], Setup]:
    """Blocks made as ``change`` says, out of how the model makes them."""

    def sampled_so(shots: ShotDirector) -> None:
        shots.settings = change(shots.settings)
        shots.sampler = sampler(shots.settings, shots.schedule)

    return _changed(sampled_so)


def _int8(shots: ShotDirector) -> None:
    shots.model = in_int8(shots.model)


def _unfused(shots: ShotDirector) -> None:
    _with_own_model(shots, fused=False)


def _compile(shots: ShotDirector) -> None:
    from torch._dynamo import config  # takes a second to import

    config.recompile_limit = max(config.recompile_limit, MOST_SHAPES)
    _with_own_model(shots, fused=False)  # the compiler fuses for itself, and stumbles over ours
    for layer in shots.model.blocks:
        layer.compile()


SPEEDUPS = {
    "bf16": Speedup(what="bfloat16 products and codec", switch=lambda setup: replace(setup, dtype="float32")),
    "cache-views": Speedup(what="caches that are views of one memory, not copies", switch=_shots_as(ClonedCaches)),
    "dense-caches": Speedup(
        what="keys and values without gaps, so that no product copies them", switch=_shots_as(GappedCaches)
    ),
    "angles-once": Speedup(what="rotary angles once per shot", switch=_shots_as(AnglesInEveryPass)),
    "timesteps-once": Speedup(
        what="what a timestep becomes, kept for the blocks to come", switch=_changed(_forget_timesteps)
    ),
    "prompts-once": Speedup(
        what="a prompt's embedding, keys and values once, kept for the shots that remember it",
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
        switch=_shots_as(EveryBlockRemembered),
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
    "fused-products": Speedup(
        what="q, k, v in one product, GELU inside its own, weights in the order oneDNN multiplies in",
        switch=_changed(_unfused),
    ),
    "int8": Speedup(what="the layers' linear products in int8", switch=_changed(_int8), ships_on=False),
    "three-steps": Speedup(
        what="a block in three steps: other pictures",
        switch=_sampled(lambda settings: settings.fewer(3)),
        ships_on=False,
    ),
    "two-steps": Speedup(
        what="a block in two steps: other pictures",
        switch=_sampled(lambda settings: settings.fewer(2)),
        ships_on=False,
    ),
    "no-refresh": Speedup(
        what="blocks remembered as their last step left them: other pictures",
        switch=_sampled(lambda settings: settings.model_copy(update={"refresh": True})),
    ),
    "window-2": Speedup(
        what="a block sees the one before it and no more of its shot: other pictures",
        switch=_sampled(lambda settings: settings.model_copy(update={"window": 2})),
        ships_on=False,
    ),
    "light-decoder": Speedup(
        what="a decoder of half as many operations: other pictures",
        switch=lambda setup: replace(setup, light_decoder=True),
        ships_on=False,
    ),
    "compile": Speedup(
        what="torch.compile of the layers", switch=_changed(_compile), ships_on=False, settling=COMPILED_SHOTS
    ),
}
