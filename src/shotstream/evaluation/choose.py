"""Choosing judges: what was asked for, else what is here; and the names of what is not."""

from __future__ import annotations

from typing import TypedDict

from shotstream.core.errors import WeightsError
from shotstream.evaluation.consistency import FeatureNetwork
from shotstream.evaluation.detectors import DETECTORS, PACKAGES, CutDetector, detector, installed_detectors
from shotstream.evaluation.networks import ABSENT, Clip, Dinov2, RecogniserPlaces, RecogniserSubjects, Xclip
from shotstream.evaluation.recognisers import Recognisers


class Networks(TypedDict):
    """Who describes what."""

    subject: FeatureNetwork | None
    background: FeatureNetwork | None
    meaning: FeatureNetwork | None
    words: Clip | None


def choose_detector(name: str) -> tuple[CutDetector, dict[str, str]]:
    """The detector called ``name``; and the names of those that are not installed.

    Raises :class:`InputError` if it is not here.
    """
    here = installed_detectors()
    missing = {one: f"not installed; pip install {PACKAGES[one]}" for one in DETECTORS if one not in here}
    return detector(name), missing


def choose_networks(dinov2: str | None, clip: str | None, xclip: str | None) -> tuple[Networks, dict[str, str]]:
    """DINOv2, CLIP and X-CLIP where a source is given; the recognisers describe subjects and places otherwise, under
    their own name.

    Also what is absent, and why. Raises :class:`InputError` for a source that cannot be loaded.
    """
    given = {"dinov2": dinov2, "clip": clip, "xclip": xclip}
    absent = {name: why for name, why in ABSENT.items() if given.get(name) is None}
    meaning = None if xclip is None else Xclip(xclip)
    words = None if clip is None else Clip(clip)
    subject: FeatureNetwork | None = None if dinov2 is None else Dinov2(dinov2)
    background: FeatureNetwork | None = words
    if subject is None or background is None:
        try:
            recognisers = Recognisers.load()
        except WeightsError as fault:
            absent["recognisers"] = str(fault)
        else:
            subject = subject or RecogniserSubjects(recognisers)
            background = background or RecogniserPlaces(recognisers)
    return Networks(subject=subject, background=background, meaning=meaning, words=words), absent
