"""Every exact speed-up is exact: films made with and without it show the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.core.errors import InputError
from shotstream.film.director import Director
from shotstream.tools.bench.run import effect
from shotstream.tools.bench.setups import SPEEDUPS, setup_of

DOCS = Path(__file__).parents[3] / "docs"
CAPTIONS = ("wide shot. it walks", "it sits in the snow", "a red fox sleeps", "it walks")
# bf16 is not exact by nature; compiling takes minutes; overlap-encode and context-ahead change nothing a director does.
EXACT = (
    "cache-views",
    "dense-caches",
    "angles-once",
    "timesteps-once",
    "prompts-once",
    "frames-once",
    "last-refresh",
    "fused-refresh",
    "overlap-decode",
    "fused-linear",
)
TO_THE_BIT = (
    "cache-views",
    "dense-caches",
    "angles-once",
    "timesteps-once",
    "prompts-once",
    "frames-once",
    "overlap-decode",
)

Load = Callable[[str], Director]


def frames_of(director: Director) -> np.ndarray:
    film = director.open(global_caption="a red fox in the forest", seed=3)
    return np.concatenate([film.shot(caption, seconds=1.3).wait().frames for caption in CAPTIONS])


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], np.ndarray]:
    return {}


@pytest.mark.parametrize("name", EXACT)
def test_it_changes_no_picture(name: str, load_tiny: Load, known: dict[tuple[str, ...], np.ndarray]) -> None:
    beside = ("no-refresh",) if "no-refresh" in SPEEDUPS[name].beside else ()
    if beside not in known:
        known[beside] = frames_of(setup_of(beside, "float32").director(load_tiny))
    other = frames_of(setup_of((*beside, name), "float32").director(load_tiny))
    assert np.abs(other.astype(int) - known[beside]).max() <= 1
    if name in TO_THE_BIT:
        assert np.array_equal(other, known[beside])


def test_what_is_switched_is_really_off(load_tiny: Load) -> None:
    """Counted: passes and their frames, encoded pictures, read captions of a film of three shots of two blocks."""

    def work(*switched: str) -> tuple[list[int], int, int]:
        director = setup_of(switched, "float32").director(load_tiny)
        shots, passes, images, texts = director.generator, [], [], []
        shots.model.register_forward_pre_hook(lambda _, inputs: passes.append(inputs[0].shape[1]))
        encode, read = shots.codec.encode_images, shots.text_encoder.encoder.encode
        shots.codec.encode_images = lambda pictures: images.append(len(pictures)) or encode(pictures)
        shots.text_encoder.encoder.encode = lambda captions: texts.extend(captions) or read(captions)
        film = director.open(global_caption="a red fox", seed=3)
        for caption in CAPTIONS[:3]:
            film.shot(caption, seconds=1.3).wait()
        return passes[:10], sum(images), len(texts)

    shot = [6, *[3] * 8, 6]
    assert work() == (shot, 6 + 4, 3)  # of the first shot 0, 4, ... 20, then 0, 10, 20; of the second all three
    assert work("frames-once") == (shot, 6 + 6, 3)
    passes, _, texts = work("prompts-once")
    assert passes == shot and texts > 6
    assert work("two-steps")[0] == [6, *[3] * 4, 6, *[3] * 4]
    assert work("three-steps")[0] == [6, *[3] * 6, 6, 3, 3]
    assert work("no-refresh")[0] == [6, 3, 3, 3, 3, 6, 3, 3, 3, 6]  # a refresh and a first step in one pass
    assert work("no-refresh", "fused-refresh")[0] == [6, *[3] * 9]
    assert work("no-refresh", "fused-refresh", "last-refresh")[0] == [6, *[3] * 9]


def test_a_window_of_two_blocks_looks_back_on_one(load_tiny: Load) -> None:
    director = setup_of(("window-2",), "float32").director(load_tiny)
    behind: list[int] = []
    director.generator.model.register_forward_pre_hook(
        lambda _, inputs, given: behind.append(given["cache"].end), with_kwargs=True
    )
    director.open(global_caption="a red fox", seed=3).shot("it walks", seconds=2.8).wait()
    assert max(behind) == (6 + 3) * director.geometry.tokens_per_frame


def test_a_model_without_a_light_decoder_says_so(load_tiny: Load) -> None:
    found = effect("light-decoder", load_tiny, dtype="float32", shots=1, samples=0, repeats=1)
    assert found.failed is not None and "light_decoder" in found.failed and found.end_to_end is None


@pytest.mark.parametrize("name", ["cudnn", "fa3", "fa4", "fp8-matmuls"])
def test_what_this_machine_has_no_kernels_for_says_so(load_tiny: Load, name: str) -> None:
    found = effect(name, load_tiny, dtype="float32", shots=1, samples=0, repeats=1)
    assert found.failed is not None and name in found.failed and found.end_to_end is None
    assert SPEEDUPS[name].gpu_only and not SPEEDUPS[name].ships_on


def test_what_is_for_gpus_is_described_where_a_person_looks() -> None:
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in ("wan.md", "performance.md")]
    for name in (name for name, one in SPEEDUPS.items() if one.gpu_only):
        assert all(f"`{name}`" in page for page in pages), name


def test_they_add_up(load_tiny: Load) -> None:
    director = setup_of(("bf16", "cache-views", "angles-once", "overlap-encode"), "auto").director(load_tiny)
    assert director.dtype == torch.float32
    assert [kind.__name__ for kind in director.generator.shot_type.__mro__[:4]] == [
        "AnglesInEveryPass",
        "AnglesInEveryPass",
        "ClonedCaches",
        "ClonedCaches",
    ]
    setup = setup_of(("overlap-encode", "context-ahead", "text-ahead"))
    assert (setup.overlap, setup.prepare, setup.read_ahead) == (False, False, True)
    assert all(name in SPEEDUPS for speedup in SPEEDUPS.values() for name in speedup.beside)


def test_an_unknown_name_is_one_line_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="no speed-up is called 'turbo'; known: bf16, "):
        setup_of(("turbo",))
