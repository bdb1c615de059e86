"""What can be said of any film and its story, without the world's truth: cuts, consistency, motion, words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Story
from shotstream.evaluation.consistency import FeatureNetwork, between, within
from shotstream.evaluation.detectors import CutDetector
from shotstream.evaluation.dynamics import moves
from shotstream.evaluation.judge import shots_of, transitions
from shotstream.evaluation.networks import Clip
from shotstream.media.video import FilmInfo, read_info


class FilmScores(Config):
    """The keys of ``shotstream eval film --json``. ``absent``: measures or networks that are not there, and why."""

    film: str
    shots: tuple[int, ...]  # frames
    cuts: tuple[int, ...]
    detector: str
    networks: dict[str, str]
    absent: dict[str, str]
    measures: dict[str, float | None]


def score_film(
    film: Path,
    story: Story,
    geometry: Geometry,
    detector: CutDetector,
    *,
    subject: FeatureNetwork | None,
    background: FeatureNetwork | None,
    meaning: FeatureNetwork | None,
    words: Clip | None,
    absent: dict[str, str],
) -> FilmScores:
    """Measure ``film``. Raises :class:`InputError` if it cannot be read, is empty, or is not as long as its story."""
    info = read_info(film)
    lengths = shot_lengths(film, info, story, geometry)
    shots = shots_of(film, lengths)
    cuts = transitions(film, lengths, geometry, detector)
    found = cuts.pop("cuts")
    measures: dict[str, float | None] = dict(cuts)
    for name, network in (("subject", subject), ("background", background)):
        if network is not None:
            described = [network.describe(frames, info.fps) for frames in shots]
            measures[f"intra_{name}"] = float(np.mean([within(vectors) for vectors in described]))
            measures[f"inter_{name}"] = between(described)
    if meaning is not None:
        measures["inter_semantic"] = between([meaning.describe(frames, info.fps) for frames in shots])
    if words is not None:
        told = story.prompts
        likeness = [words.alignment(frames, info.fps, text) for frames, text in zip(shots, told, strict=True)]
        measures["text_alignment"] = float(np.mean(likeness))
    measures["dynamic_degree"] = float(np.mean([moves(frames, info.fps) for frames in shots]))
    named = {"subject": subject, "background": background, "meaning": meaning, "text": words}
    return FilmScores(
        film=str(film),
        shots=tuple(lengths),
        cuts=found,
        detector=detector.name,
        networks={role: network.name for role, network in named.items() if network is not None},
        absent=absent,
        measures=measures,
    )


def shot_lengths(film: Path, info: FilmInfo, story: Story, geometry: Geometry) -> Sequence[int]:
    """Frames of every shot: the film's own chapters where it has them, else the story's lengths.

    Raises :class:`InputError` if their number is not the story's.
    """
    if not info.chapters:
        return [geometry.shot_frames(shot.blocks(geometry)) for shot in story.shots]
    if len(info.chapters) != len(story.shots):
        raise InputError(
            f"{film}: has {len(info.chapters)} shots (chapters), its story {len(story.shots)}; "
            "give the story it was made from"
        )
    return [round((chapter.end - chapter.start) * info.fps) for chapter in info.chapters]
