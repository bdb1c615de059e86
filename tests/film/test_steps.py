"""Blocks in fewer steps: from the next one on, told in the take's record, and back to what the model was made for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shotstream.api import load
from shotstream.core.errors import InputError
from shotstream.film.director import Director


@pytest.fixture
def director(tiny_model: Path) -> Director:
    return load(tiny_model, device="cpu")


def counted(director: Director) -> list[int]:
    """The step numbers that noise is drawn for, as blocks are made."""
    drawn: list[int] = []
    inner = director._clock

    def sampler(flow, draw, *rest):
        def noted(step: int):
            drawn.append(step)
            return draw(step)

        return inner(flow, noted, *rest)

    director.generator.sampler = sampler
    return drawn


def test_fewer_steps_count_from_the_next_block_on_and_the_record_says_so(director: Director) -> None:
    most, version = director.most_steps, director.model_version
    assert director.steps == most > 2
    with director.open(global_caption="a red fox", seed=3) as film:
        usual = film.shot("it walks", seconds=1.3).wait()
        drawn = counted(director)
        blocks = iter(film.retake(0, usual.seed))
        first = next(blocks)
        director.sample_in(2)
        drawn_first, more = list(drawn), counted(director)
        rest = list(blocks)
        assert drawn_first == list(range(most)) and more == [0, 1] * len(rest)
        np.testing.assert_array_equal(first.frames, usual.frames[: len(first.frames)])
        take = film.record.shots[0].choice
        assert take.model_version == f"{version}, {version} in 2 steps"
        for steps in (0, most + 1):
            with pytest.raises(InputError, match=f"steps {steps}"):
                director.sample_in(steps)
        assert (director.steps, director.model_version) == (2, f"{version} in 2 steps")
        director.sample_in(most)
        assert (director.steps, director.model_version) == (most, version)
        again = film.retake(0, usual.seed).wait()
        np.testing.assert_array_equal(again.frames, usual.frames)
        assert film.record.shots[0].choice.model_version == version


def test_a_draft_in_few_steps_is_made_again_at_full_quality_with_its_seed(director: Director) -> None:
    with director.open(global_caption="a red fox", seed=3) as film:
        usual = film.shot("it walks", seconds=1.3).wait().frames
    with director.open(global_caption="a red fox", seed=3) as film:
        director.sample_in(1)
        draft = film.shot("it walks", seconds=1.3).wait()
        director.sample_in(director.most_steps)
        final = film.remake(0).wait()
        assert final.seed == draft.seed and not np.array_equal(draft.frames, final.frames)
        np.testing.assert_array_equal(final.frames, usual)
        assert draft.record.model_version.endswith("in 1 steps") and film.shots[0].chosen is final
