"""Any film against its story, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.evaluation.any_film import FilmScores, Networks, choose_networks, score_film
from shotstream.evaluation.detectors import PySceneDetect
from shotstream.evaluation.measures import FeatureNetwork


class Brightness:
    """Two numbers per frame."""

    name = "brightness"

    def describe(self, frames: NDArray[np.uint8], fps: float) -> NDArray[np.float64]:
        bright = frames.mean((1, 2, 3)) > 128
        return np.stack([bright, ~bright], axis=1).astype(np.float64)


def _score(film: Path, story: Story, geometry: Geometry, network: FeatureNetwork | None = None) -> FilmScores:
    """``network`` describes subjects and meaning."""
    networks = Networks(subject=network, background=None, meaning=network, words=None)
    return score_film(film, story, geometry, PySceneDetect(), **networks, absent={"clip": "not given"})


def _story(shots: int) -> Story:
    return Story(global_caption="A fox.", shots=tuple(Shot(caption=f"Shot {index}.") for index in range(shots)))


def test_a_film_of_alternating_shots(film: Path, geometry: Geometry) -> None:
    scores = _score(film, _story(3), geometry, Brightness())
    assert scores.shots == (21, 33, 21)
    assert scores.measures["transition_control"] == 1
    assert scores.measures["false_cuts_per_100_seams"] == 0
    assert scores.measures["intra_subject"] == 1
    assert scores.measures["inter_subject"] == pytest.approx(1 / 3)  # dark, bright, dark
    assert scores.measures["inter_semantic"] == scores.measures["inter_subject"]
    assert scores.measures["dynamic_degree"] == 1
    assert "text_alignment" not in scores.measures
    assert scores.networks == {"subject": "brightness", "meaning": "brightness"}
    assert scores.absent == {"clip": "not given"}


def test_a_story_of_another_length_is_refused(film: Path, geometry: Geometry) -> None:
    with pytest.raises(InputError, match=r"film\.mp4: has 3 shots \(chapters\), its story 2"):
        _score(film, _story(2), geometry)


@pytest.mark.parametrize("content", [b"", b"no film at all"])
def test_an_unreadable_film_is_refused(content: bytes, tmp_path: Path, geometry: Geometry) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.mp4"):
        _score(path, _story(1), geometry)


def test_networks_that_are_not_given_are_named() -> None:
    _, absent = choose_networks(None, None, None)
    assert {"dinov2", "clip", "viclip"} <= set(absent)
