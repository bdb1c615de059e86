"""What a person may ask for, and what ``auto`` answers on any machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from shotstream.core.devices import DTYPES, free_bytes, pick_device, pick_dtype, wait_for
from shotstream.core.errors import InputError


def test_auto_gives_something_that_works():
    device = pick_device("auto")
    dtype = pick_dtype("auto", device)
    assert dtype in DTYPES.values()
    assert torch.ones(2, 2, device=device, dtype=dtype).sum().item() == 4


def test_names_mean_what_they_say():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("float32", torch.device("cpu")) == torch.float32
    assert pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_a_cpu_without_the_instructions_gets_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32


def test_an_apple_gpu_is_taken_by_name_waited_for_and_asked_for_its_memory(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 5_000)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append(True))
    place = pick_device("mps")
    assert place == pick_device("auto") == torch.device("mps")
    assert (pick_dtype("auto", place), free_bytes(place)) == (torch.float32, 7_000)
    wait_for(torch.device("cpu"))
    assert not waited
    wait_for(place)
    assert waited


@pytest.mark.parametrize("name", ["", "gpu", "meta", "cuda:x", "cuda:999", "cpu:1", "auto:0"])
def test_what_is_not_here_is_refused(name):
    with pytest.raises(InputError):
        pick_device(name)


@pytest.mark.parametrize("name", ["", "half", "float64", "torch.float32"])
def test_unknown_number_formats_are_refused(name):
    with pytest.raises(InputError, match="use auto, float32 or bfloat16"):
        pick_dtype(name, torch.device("cpu"))


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="only Linux says")
def test_free_memory_is_some_of_what_there_is():
    everything = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = free_bytes(torch.device("cpu"))
    assert free is not None and 0 < free <= everything
