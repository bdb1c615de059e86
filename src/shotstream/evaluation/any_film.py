"""Measures for any film and its story, without the world's annotations: cuts, consistency, motion, words.

The paper's own feature networks come from a local folder or the hub; the ``eval`` extra brings what they need. What is
not given or cannot be loaded is named in the output with the reason, never replaced by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.geometry import Geometry
from shotstream.core.story import Story
from shotstream.evaluation.detectors import DETECTORS, PACKAGES, CutDetector, detector, installed_detectors
from shotstream.evaluation.judge import MOMENTS, Recognisers, shots_of, transitions
from shotstream.evaluation.measures import FeatureNetwork, Vectors, between, moves, within
from shotstream.media.video import FilmInfo, read_info

# What each would measure, and how to get it.
ABSENT = {
    "dinov2": "subject consistency; give --dinov2 FOLDER or a hub id such as facebook/dinov2-base",
    "clip": "background consistency and text alignment; give --clip FOLDER or a hub id",
    "xclip": "semantic consistency between shots; give --xclip FOLDER or a hub id such as microsoft/xclip-base-patch32",
    "viclip": "the paper's network for semantic consistency; it comes as code to be run from the hub, which is never "
    "done here; --xclip is the nearest that is in a library",
}


class Dinov2:
    """DINOv2 (Oquab et al. 2023): the class token of whole frames. The paper crops subjects first; this does not."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, Dinov2Model

        self.name = f"dinov2 ({source}, whole frames)"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._network: Any = _loaded(Dinov2Model, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.measures.FeatureNetwork`."""
        pixels = self._prepare(images=list(_spread(frames)), return_tensors="pt")
        return np.asarray(self._network(**pixels).last_hidden_state[:, 0].double())


class Clip:
    """CLIP (Radford et al. 2021): image embeddings, and their likeness to words."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        self.name = f"clip ({source}, whole frames)"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._words: Any = _loaded(AutoTokenizer, source)
        self._network: Any = _loaded(CLIPModel, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.measures.FeatureNetwork`."""
        pixels = self._prepare(images=list(_spread(frames)), return_tensors="pt")
        seen = self._network.vision_model(**pixels).pooler_output
        return np.asarray(self._network.visual_projection(seen).double())

    @torch.no_grad()
    def alignment(self, frames: NDArray[np.uint8], fps: float, caption: str) -> float:
        """Mean cosine between the frames of a shot and its caption."""
        ids = self._words([caption], return_tensors="pt", truncation=True)
        read = self._network.text_projection(self._network.text_model(**ids).pooler_output)[0].double().numpy()
        seen = self.describe(frames, fps)
        return float((seen @ read / (np.linalg.norm(seen, axis=1) * np.linalg.norm(read))).mean())


class Xclip:
    """X-CLIP (Ni et al. 2022): one vector for a whole shot, by a network that looks across its frames."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, XCLIPModel

        self.name = f"xclip ({source})"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._network: Any = _loaded(XCLIPModel, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.measures.FeatureNetwork`; M is 1."""
        wanted = self._network.config.vision_config.num_frames
        shown = frames[np.linspace(0, len(frames) - 1, wanted).round().astype(int)]
        pixels = self._prepare(images=list(shown), return_tensors="pt")["pixel_values"]
        one_video = pixels.reshape(1, wanted, *pixels.shape[-3:])
        return np.asarray(self._network.get_video_features(pixel_values=one_video).pooler_output.double())


class Embedded:
    """The recognisers' embedding of the leftmost person, or of the place; of worth on films of the procedural world."""

    def __init__(self, recognisers: Recognisers, of: Literal["identity", "place"]) -> None:
        self.name = f"{recognisers.name} ({of})"
        self._recognisers, self._of = recognisers, of

    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.measures.FeatureNetwork`."""
        read = self._recognisers.read(frames, fps)
        return np.asarray(read.identity[:, 0]) if self._of == "identity" else read.place


def _spread(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A few frames of a shot, evenly spread."""
    wanted = [round((index + 0.5) * len(frames) / MOMENTS - 0.5) for index in range(MOMENTS)]
    return frames[sorted({min(max(frame, 0), len(frames) - 1) for frame in wanted})]


def _loaded(kind: Any, source: str) -> Any:
    """``source`` as a transformers object; a path that exists is never looked up on the hub."""
    try:
        return kind.from_pretrained(source, local_files_only=Path(source).exists())
    except (OSError, ValueError) as fault:
        said = " ".join(str(fault).split())[:160]
        raise InputError(f"{source}: no {kind.__name__} can be loaded from it ({said}); check the folder") from fault


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
            subject = subject or Embedded(recognisers, "identity")
            background = background or Embedded(recognisers, "place")
    return Networks(subject=subject, background=background, meaning=meaning, words=words), absent


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
