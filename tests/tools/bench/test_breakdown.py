"""Where time goes: the watch, the passes, and what they add up to."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from shotstream.film.director import Director
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.tools.bench.breakdown import PassLog, Watch, kind_of, look
from shotstream.tools.bench.roofline import OwnMatmuls, matmul_ceiling
from shotstream.tools.bench.setups import script, setup_of

CPU = torch.device("cpu")


def test_a_part_within_a_part_counts_for_the_inner_one_alone() -> None:
    watch = Watch(CPU)
    with watch.part("outer"):
        with watch.part("inner"):
            time.sleep(0.05)
        with pytest.raises(KeyError), watch.part("inner"):
            raise KeyError
    assert watch.seconds["inner"] >= 0.05 > watch.seconds["outer"] >= 0
    assert [one.name for one in watch.stretches] == ["inner", "inner", "outer"]
    outer = watch.stretches[-1]
    assert outer.end - outer.start == pytest.approx(watch.seconds["inner"] + watch.seconds["outer"])


@pytest.mark.parametrize("fuse", [True, False, None])
def test_operations_of_the_passes_are_those_the_counter_sees(director: Director, fuse: bool | None) -> None:
    shots: ShotGenerator = director.generator
    shots.fuse = fuse is True
    shots.sample_by(shots.settings.model_copy(update={"refresh": fuse is not None}))
    plan = ShotRequest(prompt="a fox", blocks=2, noise=NamedNoise(1, shot=0))
    with (
        PassLog(shots.model, Watch(CPU), shots.text_encoder.text_len) as log,
        FlopCounterMode(display=False) as counter,
    ):
        list(shots.shot(plan, shots.context.choose((), plan.prompt)))
    counted = counter.get_flop_counts()
    layers = [f"Transformer.blocks.{layer}" for layer in range(shots.model.config.layers)]
    assert sum(log.flops.values()) == sum(sum(counted[name].values()) for name in layers)
    second = {True: {"refresh + step"}, False: {"refresh"}, None: set()}[fuse]
    assert set(log.flops) == {"context pass", "step"} | second
    assert log.refresh_share == (0.5 if fuse else 0.0)
    before = len(log.watch.stretches)
    list(shots.shot(plan, shots.context.choose((), plan.prompt)))
    assert len(log.watch.stretches) == before  # nobody watches any more


def test_the_parts_are_the_whole(load_tiny: Callable[[str], Director]) -> None:
    director = setup_of(("angles-once", "no-refresh"), "float32").director(load_tiny)
    looked = look(director, script(2))
    work = looked.breakdown
    parts = work.parts()
    assert list(parts) == ["text", "context_pass", "denoising", "cache_refresh", "decode", "encode", "rest"]
    assert sum(parts.values()) == pytest.approx(work.total)
    assert min(parts.values()) > 0 and work.rest < 0.5 * work.total
    assert work.frames == 42 and looked.denoise_flops > 0
    names = [one.name for one in looked.block.timeline]
    assert names == ["refresh + step", "step", "step", "step", "decode", "encode"]
    assert all(one.start <= one.end for one in looked.block.timeline)
    assert looked.block.frames == 12 and looked.block.operations["matmuls"] > 0


def test_own_products_are_those_of_the_models_layers(director: Director) -> None:
    """Per layer six square products, the feed-forward, and both attentions, of the mean block behind six frames."""
    config, geometry = director.generator.model.config, director.geometry
    tokens = geometry.block_frames * geometry.tokens_per_frame
    own = OwnMatmuls.of(config, geometry, 12, torch.float32, CPU)
    keys = (6 + 3 + 1.5) * geometry.tokens_per_frame
    linear = 2 * tokens * (6 * config.dim**2 + 2 * config.dim * config.ffn_dim)
    attention = 2 * 2 * tokens * (keys + 12) * config.dim
    assert own.flops == pytest.approx(config.layers * (linear + attention), rel=1e-6)
    with FlopCounterMode(display=False) as counter:
        own.run()
    assert own.flops == counter.get_total_flops()
    assert own.ceiling(CPU, 1) > 0
    assert matmul_ceiling(CPU, torch.float32, 64, 2) > 0


def test_kinds_of_operations() -> None:
    kinds = {
        "aten::addmm": "matmuls",
        "aten::bmm": "matmuls",
        "aten::_softmax": "attention softmax",
        "aten::native_layer_norm": "norms",
        "aten::mkldnn_convolution": "convolutions",
        "aten::_to_copy": "copies and casts",
        "aten::gelu": "activations",
        "aten::addcmul": "other arithmetic",
    }
    assert {name: kind_of(name) for name in kinds} == kinds
