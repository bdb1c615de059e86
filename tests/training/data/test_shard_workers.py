"""Shards made in several processes are the ones that one process makes."""

from __future__ import annotations

import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shotstream.families.family import preset
from shotstream.training.data.material import open_text, open_video
from shotstream.training.data.picture_store import WorldPictures, build_pictures
from shotstream.training.data.shards import make_shards

PRESET = preset("storyworld")
GEOMETRY = PRESET.geometry


def test_pictures_are_the_same_however_many_make_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shotstream.training.data.picture_store.SHARD", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    codec, text = open_video("bundled", GEOMETRY)[0], open_text("bundled")[0]
    source = WorldPictures(seed=3, split="train", preset=PRESET)
    told: dict[bool, list[int]] = {True: [], False: []}
    for several in told:
        build_pictures(
            tmp_path / str(several),
            source,
            stories=3,
            codec=codec,
            codec_version="x",
            text=text,
            side_by_side=several,
            progress=lambda done, of, to=told[several]: to.append(done),
        )
    assert told[True] == told[False] == [1, 2, 3]
    for one, other in zip(*(sorted((tmp_path / str(several)).glob("*.safetensors")) for several in told), strict=True):
        here, there = load_file(one), load_file(other)
        assert here.keys() == there.keys()
        # a thread more or less may round the codec's sums otherwise
        assert all(torch.allclose(here[name], there[name], atol=2e-2) for name in here)


def test_what_goes_wrong_in_a_worker_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for several in (True, False):
        with pytest.raises(TypeError, match="PathLike"):  # os.fspath: a function that workers can find, and that fails
            list(make_shards(os.fspath, [0, 1], side_by_side=several))


def test_a_worker_that_is_killed_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(BrokenProcessPool):
        list(make_shards(os._exit, [3, 4], side_by_side=True))
