"""Readings, and what is made of them, against readings that are written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chosen_suites import gaps

from shotstream.core.errors import WeightsError
from shotstream.data.recognition.network import PERSON, PICTURE, person_labels, picture_labels
from shotstream.data.world.spec import WorldStory
from shotstream.data.world.stories import make_story
from shotstream.evaluation.judge import (
    Recognisers,
    ShotReading,
    alignment_by_shot,
    identity_recall,
    recognised,
    slots_of_roles,
    true_details,
)


def perfect(story: WorldStory, shot: int, order: tuple[int, ...] | None = None) -> ShotReading:
    """What a flawless reader says: certain of the truth. ``order``: who is in which slot."""
    places = order or tuple(range(len(story.shots[shot].roles)))
    picture = dict(zip(PICTURE, picture_labels(story, shot), strict=True))
    people = np.array(person_labels(story, shot, places))
    return ShotReading(
        picture={name: np.eye(len(classes))[max(picture[name], 0)] for name, classes in PICTURE.items()},
        person={
            name: np.eye(len(classes))[np.maximum(people[:, index], 0)]
            for index, (name, classes) in enumerate(PERSON.items())
        },
        identity=np.ones((4, 2, 8)),
        place=np.ones((4, 8)),
        features=np.ones((4, 8)),
    )


def _stories() -> list[WorldStory]:
    return [story for seed in range(30) if max(gaps(story := make_story(seed, shots=5)))]


def test_a_perfect_reader_recognises_everything_whoever_stands_left() -> None:
    for story in _stories():
        for shot, spec in enumerate(story.shots):
            order = (1, 0) if len(spec.roles) == 2 else (0,)
            reading = perfect(story, shot, order)
            assert slots_of_roles(story, shot, reading) == order
            assert all(recognised(story, shot, reading).values())
        readings = [perfect(story, shot) for shot in range(5)]
        assert set(alignment_by_shot(story, readings)) == {1.0}


def test_a_perfect_film_remembers_and_a_repainted_one_does_not() -> None:
    forgetful, false = [], []
    for story in _stories():
        readings = [perfect(story, shot) for shot in range(5)]
        assert identity_recall(story, readings) == true_details(story, readings) == 1
        for shot, reading in enumerate(readings):  # another pattern, colour and landmark in every shot
            for name in ("pattern", "pattern colour"):
                reading.person[name][:] = np.roll(reading.person[name], shot, axis=1)
            for name in ("landmark", "landmark colour", "landmark third"):
                reading.picture[name][:] = np.roll(reading.picture[name], shot)
        forgetful.append(identity_recall(story, readings))
        false.append(true_details(story, readings))
    assert np.mean([value for value in forgetful if value is not None]) < 0.5
    assert np.mean([value for value in false if value is not None]) < 0.6  # the first shot is still as it was


def test_shots_are_read_in_the_shapes_stated(recognisers: Recognisers) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 64, 3), dtype=np.uint8)
    reading = recognisers.read(frames, 16)
    assert reading.identity.shape == (4, 2, 8)
    assert reading.features.shape == (4, 8)
    np.testing.assert_allclose([probabilities.sum() for probabilities in reading.picture.values()], 1)
    assert recognisers.read(frames[:1], 16).place.shape == (4, 8)
    assert recognisers.header.accuracy == {"truth/place": 0.5}


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="shotstream train storyworld/recognisers"):
        Recognisers.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        Recognisers.load(tmp_path / "bad.safetensors")
