"""How many threads compute beside other programs, on a machine whose load is known; and that this changes no frame."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from shotstream import load
from shotstream.sampling.overlap import CALM, INTERVAL, FreeCores, Usage, measure_usage


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before, lowered = torch.get_num_threads(), FreeCores._lowered
    FreeCores._lowered = None
    yield
    torch.set_num_threads(before)
    FreeCores._lowered = lowered


@dataclass
class Machine:
    """Programs that keep ``others`` of ``cores`` busy, beside a process of our own on ``own`` of them."""

    cores: int
    others: float = 0.0
    own: float = 1.0
    now: float = 100.0
    used: float = 5000.0
    used_by_us: float = 7.0

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds * (self.others + self.own)
        self.used_by_us += seconds * self.own

    def fitted(self) -> FreeCores:
        torch.set_num_threads(self.cores)
        return FreeCores(lambda: Usage(self.used_by_us, self.used, self.cores), lambda: self.now)

    def passes(self, cores: FreeCores, others: float, readings: int) -> list[int]:
        self.others = others
        found = []
        for _ in range(readings):
            self.later(INTERVAL)
            cores.fit()
            found.append(torch.get_num_threads())
        return found


@pytest.mark.parametrize(
    ("cores", "others", "threads"),
    [(2, 0.0, 2), (2, 0.2, 2), (2, 0.5, 1), (2, 1.0, 1), (2, 1.9, 1), (8, 0.9, 7), (8, 3.0, 5), (8, 8.0, 1), (1, 1, 1)],
)
def test_a_core_that_others_use_is_worth_no_thread(cores: int, others: float, threads: int) -> None:
    machine = Machine(cores)
    assert machine.passes(machine.fitted(), others, 1) == [threads]


def test_our_own_work_counts_for_nothing() -> None:
    machine = Machine(4, own=4.0)
    assert machine.passes(machine.fitted(), 0.0, 3) == [4, 4, 4]


def test_fewer_at_once_and_more_after_a_while() -> None:
    machine = Machine(2)
    cores = machine.fitted()
    assert machine.passes(cores, 1.0, 1) == [1]
    assert machine.passes(cores, 0.0, CALM) == [1] * (CALM - 1) + [2]
    assert machine.passes(cores, 1.0, 1) == [1]
    assert machine.passes(cores, 0.0, CALM - 1) + machine.passes(cores, 1.0, 1) == [1] * CALM  # a pause in its work


def test_between_two_readings_nothing_is_asked() -> None:
    machine = Machine(2)
    cores = machine.fitted()
    machine.others = 2.0
    machine.later(INTERVAL / 2)
    cores.fit()
    assert torch.get_num_threads() == 2


def test_a_number_set_by_hand_is_the_most_there_will_be() -> None:
    machine = Machine(8)
    torch.set_num_threads(3)
    cores = FreeCores(lambda: Usage(machine.used_by_us, machine.used, 8), lambda: machine.now)
    assert machine.passes(cores, 0.0, 2 * CALM) == [3] * 2 * CALM


def test_a_second_model_is_not_held_to_what_the_first_was_lowered_to() -> None:
    machine = Machine(2)
    assert machine.passes(machine.fitted(), 1.0, 1) == [1]
    second = FreeCores(lambda: Usage(machine.used_by_us, machine.used, 2), lambda: machine.now)
    assert machine.passes(second, 0.0, CALM)[-1] == 2


def test_each_pass_of_a_flow_is_fitted() -> None:
    machine = Machine(2)
    flow = machine.fitted().before(lambda x, timestep: x * timestep)
    machine.others = 1.0
    machine.later(INTERVAL)
    assert flow(torch.ones(1), 3.0) == 3
    assert torch.get_num_threads() == 1


def test_the_system_is_read_as_it_is() -> None:
    before, own, began = measure_usage(), time.process_time(), time.monotonic()
    while time.process_time() - own < 0.3:
        pass
    after, took = measure_usage(), time.monotonic() - began
    used = after.own - before.own
    assert 0.25 <= used <= 0.6
    assert after.all - before.all >= used - 0.1  # all programs include this one
    assert after.all - before.all <= (took + 0.1) * after.cores + 0.1
    if hasattr(os, "sched_getaffinity"):
        assert after.cores == len(os.sched_getaffinity(0))


def test_on_one_thread_the_system_is_asked_once() -> None:
    torch.set_num_threads(1)
    asked = []
    cores = FreeCores(lambda: asked.append(1) or Usage(0, 0, 1), iter(range(1000)).__next__)  # type: ignore[arg-type]
    for _ in range(5):
        cores.fit()
    assert len(asked) == 1


@pytest.mark.soak
def test_the_number_of_threads_changes_no_frame() -> None:
    most = max(2, os.cpu_count() or 1)
    frames = []
    for count in (1, most, 1):
        torch.set_num_threads(count)
        with load("storyworld").open(global_caption="A red fox in a snowy forest.", seed=7) as film:
            shot = film.shot("Wide shot. The fox walks to the left.", seconds=1)
            frames.append(np.concatenate([block.frames for block in shot]))
    assert (frames[0] == frames[1]).all() and (frames[0] == frames[2]).all()
