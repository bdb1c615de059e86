"""What is for a GPU works the same on a CPU but for its speed: noise a block ahead, decoding on another stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.sampling.gpu_speedups import GPU_SPEEDUPS, check_speedups, switch_on
from shotstream.sampling.rollout import NamedNoise, NoiseAhead, Shape
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest


class CountedNoise(NamedNoise):
    """Remembers which draw was made in which thread."""

    def __init__(self, seed: int, *, shot: int) -> None:
        super().__init__(seed, shot=shot)
        self.drawn: list[tuple[int, int, str]] = []

    def draw(self, block: int, step: int, shape: Shape) -> Tensor:
        self.drawn.append((block, step, threading.current_thread().name.partition("_")[0]))
        return super().draw(block, step, shape)


def test_noise_comes_a_block_ahead_and_is_the_same_to_the_bit() -> None:
    true, noise = NamedNoise(5, shot=2), CountedNoise(5, shot=2)
    with ThreadPoolExecutor(1, thread_name_prefix="noise") as thread:
        ahead = NoiseAhead(noise, thread, pinned=False)
        for block in range(3):
            for step in range(2):
                assert torch.equal(ahead.draw(block, step, (3, 2, 2, 2)), true.draw(block, step, (3, 2, 2, 2)))
    here = [(block, step) for block, step, name in noise.drawn if name == "MainThread"]
    assert here == [(0, 0), (0, 1)]  # only the first block had to wait
    assert sorted(draw[:2] for draw in noise.drawn) == [(block, step) for block in range(4) for step in range(2)]


def test_another_shape_than_was_expected_is_drawn_anew() -> None:
    with ThreadPoolExecutor(1) as thread:
        ahead = NoiseAhead(NamedNoise(5, shot=0), thread, pinned=False)
        ahead.draw(0, 0, (3, 2, 2, 2))
        assert torch.equal(ahead.draw(1, 0, (1, 2, 2, 2)), NamedNoise(5, shot=0).draw(1, 0, (1, 2, 2, 2)))


class LoggedStreams:
    """Streams that do nothing but say what would have been asked of a device, and in which thread."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, bool]] = []
        self.marks = 0

    def _say(self, what: str, number: int) -> None:
        self.said.append((what, number, threading.current_thread() is threading.main_thread()))

    def mark(self) -> int:
        self._say("made", self.marks)
        self.marks += 1
        return self.marks - 1

    @contextmanager
    def aside(self, event: int) -> Iterator[None]:
        self._say("decoding begins", event)
        yield
        self._say("decoded", event)

    def used_aside(self, tensor: Tensor) -> None:
        self._say("in use", tensor.shape[1])


def frames_of(shots: ShotGenerator) -> list[np.ndarray]:
    request = ShotRequest(prompt="a fox", blocks=4, noise=NamedNoise(7, shot=0))
    return [block.frames for block in shots.shot(request, shots.context.choose([], "a fox"))]


def test_blocks_are_decoded_behind_what_made_them_while_the_next_is_made(director: ShotGenerator) -> None:
    true, streams = frames_of(director), LoggedStreams()
    director.decode_aside(streams)
    for made, frames in zip(frames_of(director), true, strict=True):
        assert np.array_equal(made, frames)
    order = [(what, number) for what, number, _ in streams.said]
    for block in range(4):
        assert order.index(("made", block)) < order.index(("decoding begins", block)) < order.index(("decoded", block))
    assert order.index(("made", 2)) < len(order) - 1 - order[::-1].index(("decoded", 2))
    assert {what: main for what, _, main in streams.said} == {
        "made": True,
        "decoding begins": False,
        "in use": False,
        "decoded": False,
    }


def test_all_together_make_the_same_film(director: ShotGenerator) -> None:
    from recorded_calls import RecordedCalls

    director.model.requires_grad_(False)
    true = frames_of(director)
    director.draw_ahead()
    director.decode_aside(LoggedStreams())
    director.record_blocks(RecordedCalls())
    assert all(np.array_equal(made, frames) for made, frames in zip(frames_of(director), true, strict=True))


@pytest.mark.parametrize("name", GPU_SPEEDUPS)
def test_on_a_cpu_each_is_refused_in_a_line(director: ShotGenerator, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: needs a CUDA device, and this is cpu; leave it out"):
        switch_on(director, [name])


def test_unknown_names_are_told_and_none_is_fine(director: ShotGenerator) -> None:
    with pytest.raises(InputError, match="no speed-up is called 'warp'; known: cuda-graphs, noise-ahead"):
        check_speedups(["warp"], "cuda")
    switch_on(director, [])
