"""What is worked out from a film's clock, and the story that is filmed."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from shotstream.checkpoints.codec_weights import load_text_encoder
from shotstream.core.process import held_memory_bytes, peak_memory_bytes
from shotstream.film.director import Director
from shotstream.tools.bench.films import Filmed, film, first_frames, spread
from shotstream.tools.bench.setups import CAPTIONS, GLOBAL_CAPTION, Setup, captions, script

BUNDLED = Path(__file__).parents[3] / "src" / "shotstream" / "bundled"


def filmed(seconds: list[float], held: list[int]) -> Filmed:
    return Filmed(report=None, clock=tuple(np.cumsum([0.0, *seconds])), held=tuple(held))


def test_growth_compares_shots_2_to_6_with_46_to_50() -> None:
    seconds = [99.0, 1, 2, 3, 4, 5, *[50.0] * 39, 6, 5, 4, 3, 100]
    long = filmed(seconds, [7, 7, 7, 7, 100, *[300] * 44, 101])
    assert long.growth_shots() == ((1, 5), (45, 49))
    assert long.cost_growth() == pytest.approx(5 / 3)
    assert long.memory_shots() == (4, 49)
    assert long.memory_growth() == pytest.approx(1.01)


def test_short_films_compare_what_they_have() -> None:
    assert filmed([9, 1, 2], [1, 2, 3]).growth_shots() == ((1, 1), (2, 2))
    assert filmed([9, 1, 2], [1, 2, 3]).cost_growth() == pytest.approx(2)
    assert filmed([1] * 12, [1] * 12).growth_shots() == ((1, 5), (7, 11))


def test_spread_is_numpys() -> None:
    seconds = list(np.random.default_rng(0).uniform(size=30))
    found = spread(seconds)
    assert (found.p50, found.p95) == pytest.approx(tuple(np.percentile(seconds, [50, 95])))
    assert spread([2.0]).p95 == 2.0


def test_a_film_is_made_and_looked_at(director: Director) -> None:
    made = film(director, script(3, seconds=0.6), Setup())
    assert made.report.frames == 27 and len(made.clock) == 4 and len(made.held) == 3
    assert sum(made.shot_seconds()) == pytest.approx(27 / made.report.end_to_end_fps, rel=0.2)
    assert 0 < min(made.held) <= 1.01 * made.report.peak_memory_bytes  # the system counts both in coarse steps
    assert len(first_frames(director, 2, Setup(read_ahead=True, prepare=False))) == 2


def test_memory_held_now_is_no_more_than_the_most_held(director: Director) -> None:
    before = held_memory_bytes(director.device)
    size = 64_000_000
    with mmap.mmap(-1, size) as ballast:  # fresh pages: numpy might be given some the process holds already
        ballast.write(b"1" * size)
        assert held_memory_bytes(director.device) - before > 0.9 * size
    assert held_memory_bytes(director.device) < peak_memory_bytes(director.device) - 50_000_000


def test_the_story_is_in_words_the_packaged_model_knows_and_no_shot_comes_twice() -> None:
    encoder = load_text_encoder(BUNDLED / "text_encoder.safetensors")
    assert encoder.unknown_words(" ".join([GLOBAL_CAPTION, *CAPTIONS])) == []
    assert len(set(captions(50))) == 50
    assert all(
        one.split(".")[0] != other.split(".")[0] or one != other
        for one, other in zip(captions(50), captions(51)[1:], strict=True)
    )
    assert len(script(50).shots) == 50
