"""The measures of a suite, in the paper's column order, and which floor each is held against.

A measure is only of use if truth and floor are told apart; which degraded truth is a floor depends on what is
measured. Films under other stories' captions, for instance, are as steady within a shot as any.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """``floor``: the system that is as bad as can be; None for what has no ceiling either."""

    key: str
    title: str
    floor: str | None
    higher_is_better: bool = True


MEASURES = (
    Measure("end_to_end_fps", "frames/s", None),
    Measure("first_frame_ms", "first frame, ms", None, higher_is_better=False),
    Measure("memory_mb", "memory, MB", None, higher_is_better=False),
    Measure("intra_subject", "intra subject", "noise"),
    Measure("intra_background", "intra background", "noise"),
    Measure("inter_semantic", "inter semantic", "shuffled"),
    Measure("inter_subject", "inter subject", "shuffled"),
    Measure("inter_background", "inter background", "shuffled"),
    Measure("transition_control", "transition (SCA)", "noise"),
    Measure("text_alignment", "text alignment", "shuffled"),
    Measure("dynamic_degree", "dynamic", "still"),
    Measure("identity_recall", "identity recall", "shuffled"),
    Measure("frechet_distance", "Fréchet distance", "noise", higher_is_better=False),
    Measure("drift", "drift per shot", "fading", higher_is_better=False),
    Measure("false_cuts_per_100_seams", "false cuts / 100 seams", "noise", higher_is_better=False),
)
REFERENCE, CEILING = "truth", "autoencoder"
FLOORS = ("shuffled", "noise", "still", "fading")
TEACHER = "teacher"  # against which students are held, story by story
