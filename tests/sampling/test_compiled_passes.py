"""Layers compiled in two halves: the same frames, a graph for each shape of pass, and all layers share it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx

from shotstream.models.transformer import Transformer
from shotstream.sampling.context import BlankShot
from shotstream.sampling.gpu_speedups import warmed_up
from shotstream.sampling.layer_runners import by_torch
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest


class Graphs:
    """A compiler that counts the graphs it is given and runs each as it is. A layer that cannot be one graph fails."""

    def __init__(self) -> None:
        torch._dynamo.reset()
        self.made: list[fx.GraphModule] = []

    def _backend(self, graph: fx.GraphModule, _: object) -> Callable[..., Any]:
        self.made.append(graph)
        return graph.forward

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, backend=self._backend, dynamic=False, fullgraph=True)


@pytest.fixture
def model(model: Transformer) -> Transformer:
    return model.requires_grad_(False)


def frames_of(shots: ShotGenerator, blocks: int) -> np.ndarray:
    request = ShotRequest(prompt="a fox", blocks=blocks, noise=NamedNoise(3, shot=1))
    made = shots.shot(request, shots.context.choose([BlankShot(shots.codec.geometry)], "a fox"))
    return np.concatenate([block.frames for block in made])


@pytest.mark.parametrize("fused", [False, True])
def test_a_shot_is_the_same_in_three_shapes_of_pass_and_six_graphs(director: ShotGenerator, fused: bool) -> None:
    """The context; a refresh with the next block's first step; all other steps. However full or rolled the window."""
    director.model.fuse_(fused)
    blocks, graphs = director.codec.geometry.max_blocks + 2, Graphs()
    true, own = frames_of(director, blocks), director.model
    director.compile_passes(graphs)
    assert np.array_equal(frames_of(director, blocks), true)
    assert len(graphs.made) == 2 * 3 and len(director.model.blocks) > 1
    assert director.model is not own and next(director.model.parameters()) is next(own.parameters())
    assert np.array_equal(frames_of(director, blocks), true) and len(graphs.made) == 2 * 3


def test_the_model_it_was_made_of_is_not_compiled(director: ShotGenerator) -> None:
    other = ShotGenerator(director.model, director.text_encoder.encoder, director.codec, director.preset)
    graphs = Graphs()
    director.compile_passes(graphs)
    frames_of(other, 2)
    assert not graphs.made


def test_recorded_blocks_of_layers_in_two_halves_are_the_same(director: ShotGenerator) -> None:
    """Not compiled: the compiler does not work beside what stands in for recording."""
    from recorded_calls import RecordedCalls

    true = frames_of(director, 3)
    director.compile_passes(lambda function: function)
    director.record_blocks(RecordedCalls())
    assert np.array_equal(frames_of(director, 3), true)


def test_after_the_warm_up_nothing_is_left_to_compile_and_the_log_has_said_so(
    director: ShotGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shotstream.sampling")
    true, graphs = frames_of(director, 4), Graphs()
    director.compile_passes(graphs)
    warmed_up(director, ["compile"])
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "warming up: compile; a minute or two" and said[-1].startswith("warmed up in ")
    assert [line for line in said if line.startswith("compiling")] == [
        "compiling passes of 2 frames",  # the context
        "compiling passes of 3 frames",
        "compiling passes of 6 frames",
    ]
    known = len(graphs.made)
    assert np.array_equal(frames_of(director, 4), true) and len(graphs.made) == known


def test_there_is_nothing_to_warm_up_for_what_is_done_at_once(
    director: ShotGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shotstream.sampling")
    warmed_up(director, ["noise-ahead"])
    assert not caplog.records


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # in torch itself
def test_torchs_own_compiler_makes_the_same_frames_within_rounding(director: ShotGenerator) -> None:
    director.model.fuse_()
    true = frames_of(director, 3)
    torch._dynamo.reset()
    director.compile_passes(by_torch)
    assert np.abs(frames_of(director, 3).astype(int) - true).max() <= 1
