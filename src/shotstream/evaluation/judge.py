"""One film judged against its story: everything that can be said of it before other films are looked at.

The film is read back from its MP4: cuts, pictures and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.data.world.spec import WorldStory
from shotstream.evaluation.consistency import Described, between, inter, intra
from shotstream.evaluation.detectors import CutDetector
from shotstream.evaluation.dynamics import moves
from shotstream.evaluation.identity import identity_recall
from shotstream.evaluation.prompts import alignment_by_shot, recognised
from shotstream.evaluation.recognisers import Recognisers, ShotReading, Vectors, slots_of_roles
from shotstream.evaluation.transitions import block_seams, false_cuts, planned_cuts, shot_cut_accuracy
from shotstream.media.video import read_video


class Judgement(Config):
    """What one film is worth. A measure that does not apply to its story is None.

    ``attributes``: how often each asked attribute was recognised, and how often it was asked.
    """

    measures: dict[str, float | None]
    alignment_by_shot: tuple[float, ...]
    attributes: dict[str, tuple[int, int]]
    cuts: tuple[int, ...]


def shots_of(film: Path, lengths: Sequence[int]) -> list[NDArray[np.uint8]]:
    """The shots of an MP4, uint8 [T, H, W, 3] each. Raises :class:`InputError` if its length is not their sum."""
    frames = read_video(film)
    if len(frames) != sum(lengths):
        raise InputError(f"{film}: has {len(frames)} frames, its story {sum(lengths)}; give the story it was made from")
    return np.split(frames, planned_cuts(lengths))


def transitions(film: Path, lengths: Sequence[int], geometry: Geometry, detector: CutDetector) -> dict[str, Any]:
    """``cuts`` as detected, ``transition_control``, and ``false_cuts_per_100_seams`` (None without seams)."""
    planned, found = planned_cuts(lengths), detector.cuts(film)
    seams = block_seams(lengths, geometry)
    return {
        "cuts": found,
        "transition_control": shot_cut_accuracy(planned, found, sum(lengths)),
        "false_cuts_per_100_seams": 100 * len(false_cuts(planned, found)) / seams if seams else None,
    }


def judge(
    film: Path,
    story: WorldStory,
    lengths: Sequence[int],
    geometry: Geometry,
    recognisers: Recognisers,
    detector: CutDetector,
) -> tuple[Judgement, Vectors]:
    """The judgement of an MP4, and its picture features [S, M, P] for measures over many films."""
    shots = shots_of(film, lengths)
    readings = [recognisers.read(frames, geometry.fps) for frames in shots]
    cuts = transitions(film, lengths, geometry, detector)
    found = cuts.pop("cuts")
    subjects, places = _subjects(story, readings), _places(story, readings)
    alignment = alignment_by_shot(story, readings)
    measures = {
        **cuts,
        "intra_subject": intra(subjects),
        "intra_background": intra(places),
        "inter_subject": inter(subjects),
        "inter_background": inter(places),
        "inter_semantic": between([reading.features for reading in readings]),
        "text_alignment": float(np.mean(alignment)) if alignment else None,
        "identity_recall": identity_recall(story, readings),
        "dynamic_degree": float(np.mean([moves(frames, geometry.fps) for frames in shots])),
    }
    features = np.stack([reading.features for reading in readings])
    judgement = Judgement(
        measures=measures,
        alignment_by_shot=tuple(alignment),
        attributes=_counts(story, readings),
        cuts=found,
    )
    return judgement, features


def _subjects(story: WorldStory, readings: Sequence[ShotReading]) -> list[Described]:
    """Every character of every shot."""
    described: list[Described] = []
    for shot, reading in enumerate(readings):
        slots = slots_of_roles(story, shot, reading)
        for slot, role in zip(slots, story.shots[shot].roles, strict=True):
            described.append((role.character, reading.identity[:, slot]))
    return described


def _places(story: WorldStory, readings: Sequence[ShotReading]) -> list[Described]:
    return [(shot.place, reading.place) for shot, reading in zip(story.shots, readings, strict=True)]


def _counts(story: WorldStory, readings: Sequence[ShotReading]) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for shot, reading in enumerate(readings):
        for name, right in recognised(story, shot, reading).items():
            hits, asked = counts.get(name, (0, 0))
            counts[name] = (hits + right, asked + 1)
    return counts
