"""What a program sees of the package: its names, its reprs, frames for other libraries, films that are closed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import shotstream

LIGHT = """
import sys, shotstream
assert set(shotstream.__all__) <= set(dir(shotstream))
assert shotstream.InputError and "torch" not in sys.modules and "numpy" not in sys.modules
"""


@pytest.fixture
def director(tiny_model: Path) -> shotstream.Director:
    return shotstream.load(tiny_model, device=torch.device("cpu"), dtype=torch.float32)


def test_every_name_is_there_and_says_what_it_is() -> None:
    for name in shotstream.__all__:
        found = getattr(shotstream, name)
        assert name == "__version__" or (found.__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="no attribute 'Movie'"):
        shotstream.Movie  # noqa: B018
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_reprs(director: shotstream.Director) -> None:
    assert repr(director).startswith("<director of tiny student-") and "64x32, cpu, float32>" in repr(director)
    film = director.open(global_caption="a red fox in the forest, or very, very likely in the snow", seed=3)
    take = film.shot("it walks", seconds=0.6)
    (block,) = take
    assert repr(film) == "<film 'a red fox in the forest, or very, very …': 1 shots, 1 made, seed 3>"
    assert repr(block) == "<block 0: 9 frames of 64x32>" and isinstance(block, shotstream.Block)
    film.close()
    assert repr(film) == "<film, closed>"


def test_frames_as_other_libraries_take_them(director: shotstream.Director) -> None:
    take = director.open(global_caption="a red fox").shot("it walks", seconds=0.6)
    (block,) = take
    for one in (take, block):
        assert [image.size for image in one.images()] == [(64, 32)] * 9
        np.testing.assert_array_equal(np.asarray(one.images()[3]), one.frames[3])
        assert one.tensor().shape == (9, 3, 32, 64) and one.tensor().dtype == torch.float32
        np.testing.assert_array_equal((one.tensor() * 255).round().byte().permute(0, 2, 3, 1).numpy(), one.frames)


@pytest.mark.parametrize("kept", [False, True])
def test_a_closed_film_says_so(director: shotstream.Director, tmp_path: Path, kept: bool) -> None:
    with director.open(global_caption="a red fox", folder=tmp_path / "film" if kept else None) as film:
        take = film.shot("it walks", seconds=0.6).wait()
    film.close()
    for ask in (
        lambda: film.shot("it sits"),
        lambda: film.retake(0),
        lambda: film.save(tmp_path / "a.film"),
        lambda: film.export(tmp_path / "a.mp4"),
    ):
        with pytest.raises(shotstream.StorageError, match="this film is closed"):
            ask()
    if kept:
        assert director.reopen(tmp_path / "film").shots[0].chosen is not None
    else:
        with pytest.raises(shotstream.ShotStreamError):
            take.frames  # noqa: B018


def test_a_snapshot_that_is_closed_leaves_the_film_alone(director: shotstream.Director) -> None:
    film = director.open(global_caption="a red fox")
    take = film.shot("it walks", seconds=0.6).wait()
    film.snapshot().close()
    assert len(take.frames) == 9


def test_exports_replace_nothing_unasked_and_know_every_format(director: shotstream.Director, tmp_path: Path) -> None:
    film = director.open(global_caption="a red fox")
    film.shot("it walks", seconds=0.6).wait()
    clips = film.export(tmp_path / "clips", format="clips")
    assert [path.suffix for path in clips] == [".mp4"] and clips[0].is_file()
    for name in ("a.mp4", "a.film", "a.srt"):
        film.export(tmp_path / name)
        with pytest.raises(shotstream.InputError, match="already exists"):
            film.export(tmp_path / name)
        film.export(tmp_path / name, force=True)
    with pytest.raises(shotstream.InputError, match="no format is called 'avi'"):
        film.export(tmp_path / "b.avi", format="avi")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": 3}, "device 3: give its name"),
        ({"dtype": torch.int8}, "no number format is called 'int8'"),
        ({"dtype": 16}, "no number format is called 16"),
        ({"size": (64,)}, r"size \(64,\): give width and height"),
        ({"size": 64}, "size 64: give width and height"),
        ({"size": (63, 32)}, "size 63x32: both must be multiples"),
        ({"steps": "2"}, "steps '2': give a whole number"),
        ({"window": 2.0}, "window 2.0: give a whole number"),
        ({"memory": "8 GB"}, "memory '8 GB': give a number"),
        ({"eight_bit": "int4"}, "eight_bit 'int4': use one of int8, fp8"),
    ],
)
def test_wrong_types_are_one_clear_line(tiny_model: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(shotstream.InputError, match=said):
        shotstream.load(tiny_model, **{"device": "cpu", **options})


def test_what_is_no_number_of_a_shot(director: shotstream.Director) -> None:
    film = director.open(global_caption="a red fox")
    for index in ("0", 0.0, 3):
        with pytest.raises(shotstream.InputError, match=f"there is no shot {index!r}"):
            film.retake(index)


def test_no_model_is_called_nothing() -> None:
    with pytest.raises(shotstream.InputError, match="no model is called ''"):
        shotstream.load("")


def test_what_is_no_story(tiny_model: Path) -> None:
    with pytest.raises(shotstream.InputError, match="a story is a path, a Story, or a mapping"):
        shotstream.generate(42, model=tiny_model)
    assert shotstream.load(tiny_model, device="cpu", size=(128, 64)).geometry.width == 128
