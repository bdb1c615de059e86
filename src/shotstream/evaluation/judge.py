"""Judges one film against its story: every measure that needs no other films; and what recognisers read off a shot.

The film is read back from its MP4: cuts, pictures and all. Two of its measures are defined here. Text alignment: is
what the captions say to be seen? Asked of the recognisers, answered from the world's truth. Identity recall: are
details that no caption states the same as when they were last to be seen? A model cannot know such a detail before it
first draws it, so nothing is compared with the world's truth: the recognisers' answer in a shot is compared with their
answer over all earlier shots of the same character or place.

Axes: T frames · M moments · S slots (persons from left to right) · E embedding · P picture features
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.geometry import Geometry
from shotstream.data.recognition.network import (
    PERSON,
    PICTURE,
    SLOTS,
    Header,
    Recogniser,
    load_recogniser,
    moment_frames,
    shrink,
)
from shotstream.data.world.shots import SHARED
from shotstream.data.world.spec import ACCESSORIES, WORLD_VERSION, WorldStory
from shotstream.data.world.truth import ASKED, PERSONS, asked_attributes, stated_attributes, unstated_details
from shotstream.evaluation.detectors import CutDetector
from shotstream.evaluation.measures import (
    Described,
    between,
    block_seams,
    false_cuts,
    inter,
    intra,
    moves,
    planned_cuts,
    shot_cut_accuracy,
)
from shotstream.media.video import read_video

BUNDLED = Path(__file__).parent.parent / "bundled" / "recognisers.safetensors"
MOMENTS = 4
Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShotReading:
    """Probabilities are means over moments. Slots keep their person through the shot."""

    picture: dict[str, Vectors]  # per question: [classes]
    person: dict[str, Vectors]  # per question: [S, classes]
    identity: Vectors  # [M, S, E], length 1
    place: Vectors  # [M, E], length 1
    features: Vectors  # [M, P]

    def answer(self, attribute: str, slots: Sequence[int]) -> Vectors:
        """Probabilities [classes] of an attribute of :data:`ASKED` or UNSTATED; ``slots``: which one is which role."""
        person, _, question = attribute.partition(".")
        if not question:
            return self.picture[attribute]
        return np.asarray(self.person[question][slots[PERSONS.index(person)]])


class Recognisers:
    """The trained network, asked about whole shots."""

    def __init__(self, network: Recogniser, header: Header) -> None:
        self.network = network.eval().requires_grad_(False)
        self.header = header

    @classmethod
    def load(cls, path: Path = BUNDLED) -> Recognisers:
        """From a file, by default the packaged one. Raises :class:`WeightsError`."""
        if not path.is_file():
            raise WeightsError(f"{path}: no such weights; run: shotstream train storyworld/recognisers")
        return cls(*load_recogniser(path))

    @property
    def name(self) -> str:
        return f"recognisers-{self.header.version}-world-{self.header.world}"

    @property
    def stale(self) -> str:
        """What is to be said before they judge films of this world if they learned from another's; else empty."""
        if self.header.world == str(WORLD_VERSION):
            return ""
        return (
            f"{self.name} learned from films of world {self.header.world}, this is world {WORLD_VERSION}: they read "
            "less than there is; train storyworld/recognisers before results are compared"
        )

    @torch.no_grad()
    def read(self, frames: NDArray[np.uint8], fps: float) -> ShotReading:
        """A shot, uint8 [T, H, W, 3]."""
        length = len(frames)
        middles = [round((index + 0.5) * length / MOMENTS - 0.5) for index in range(MOMENTS)]
        wanted = [moment_frames(middle, fps, length) for middle in middles]
        small = shrink(frames[np.ravel(wanted)], self.network.config)
        readings = self.network(torch.from_numpy(small).unflatten(0, (MOMENTS, -1)))
        identity = readings.identity.double().numpy()
        order = _same_person_first(identity)
        rows = np.arange(MOMENTS)[:, None]
        people = zip(PERSON, readings.person, strict=True)
        return ShotReading(
            picture={
                name: np.asarray(logits.double().softmax(-1).mean(0))
                for name, logits in zip(PICTURE, readings.picture, strict=True)
            },
            person={name: logits.double().softmax(-1).numpy()[rows, order].mean(0) for name, logits in people},
            identity=identity[rows, order],
            place=readings.place.double().numpy(),
            features=readings.features.double().numpy(),
        )


def _same_person_first(identity: Vectors) -> NDArray[np.int64]:
    """Slots [M, S] reordered so that each keeps the person it had at first, should two change sides."""
    kept = np.einsum("mse,se->m", identity, identity[0])
    swapped = np.einsum("mse,se->m", identity[:, ::-1], identity[0])
    straight = np.arange(SLOTS)
    return np.stack([straight[::-1] if away > stay else straight for stay, away in zip(kept, swapped, strict=True)])


def slots_of_roles(story: WorldStory, shot: int, reading: ShotReading) -> tuple[int, ...]:
    """Which slot each role of a shot is in: of two, the way that fits their kinds and colours better."""
    if len(story.shots[shot].roles) < SLOTS:
        return (0,)
    truth = asked_attributes(story, shot)

    def fit(slots: tuple[int, int]) -> float:
        return sum(
            float(np.log(reading.person[question][slot][truth[f"{person}.{question}"]] + 1e-6))
            for person, slot in zip(PERSONS, slots, strict=True)
            for question in ("kind", "colour")
        )

    return max(((0, 1), (1, 0)), key=fit)


def asked_of(story: WorldStory, shot: int) -> list[str]:
    """The attributes of :data:`ASKED` that apply to a shot."""
    truth = asked_attributes(story, shot)
    return [attribute.name for attribute in ASKED if truth[attribute.name] >= 0]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a measure may look at: the story, what the recognisers read off every shot, and the shots' frames."""

    story: WorldStory
    readings: Sequence[ShotReading]
    shots: Sequence[NDArray[np.uint8]]  # [T, H, W, 3] each
    fps: int


# By the key that MEASURES names it by. A measure of your own is one more entry here and there.
FILM_MEASURES: dict[str, Callable[[Evidence], float | None]] = {
    "intra_subject": lambda film: intra(_subjects(film.story, film.readings)),
    "intra_background": lambda film: intra(_places(film.story, film.readings)),
    "inter_subject": lambda film: inter(_subjects(film.story, film.readings)),
    "inter_background": lambda film: inter(_places(film.story, film.readings)),
    "inter_semantic": lambda film: between([reading.features for reading in film.readings]),
    "text_alignment": lambda film: _mean(alignment_by_shot(film.story, film.readings)),
    "identity_recall": lambda film: identity_recall(film.story, film.readings),
    "true_details": lambda film: true_details(film.story, film.readings),
    "dynamic_degree": lambda film: _mean([moves(frames, film.fps) for frames in film.shots]),
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
    evidence = Evidence(story=story, readings=readings, shots=shots, fps=geometry.fps)
    features = np.stack([reading.features for reading in readings])
    judgement = Judgement(
        measures={**cuts, **{key: measure(evidence) for key, measure in FILM_MEASURES.items()}},
        alignment_by_shot=tuple(alignment_by_shot(story, readings)),
        attributes=_counts(story, readings),
        cuts=found,
    )
    return judgement, features


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


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


_NONE = 0  # the class of an accessory that is not there
_PLACE = ("landmark", "landmark colour", "landmark third")
_PERSON = ("pattern", "pattern colour", *ACCESSORIES)
Detail = tuple[str, int, str]  # "place" or "character", its number in the story, the question


def identity_recall(story: WorldStory, readings: Sequence[ShotReading]) -> float | None:
    """Share of unstated details that agree with earlier shots; None for a story without returns.

    Landmarks count in wide shots, pans and zooms alone, where they can be seen. An accessory counts when
    it is seen now or was before: that two shots lack the same five hats says nothing.
    """
    before: dict[Detail, list[Vectors]] = defaultdict(list)
    agreed: list[bool] = []
    for shot, reading in enumerate(readings):
        for detail, answer in _details(story, shot, reading):
            earlier = before[detail]
            if earlier:
                then, now = int(np.mean(earlier, axis=0).argmax()), int(answer.argmax())
                if detail[2] not in ACCESSORIES or (then, now) != (_NONE, _NONE):
                    agreed.append(then == now)
            earlier.append(answer)
    return sum(agreed) / len(agreed) if agreed else None


def true_details(story: WorldStory, readings: Sequence[ShotReading]) -> float | None:
    """Share of unstated details that are as the world has them: a model can know them from reference pictures alone.

    Landmarks count where they can be seen, as in :func:`identity_recall`; accessories count where there are some.
    """
    right: list[bool] = []
    for shot, reading in enumerate(readings):
        truth, slots = unstated_details(story, shot), slots_of_roles(story, shot, reading)
        for name, label in truth.items():
            question = name.rpartition(".")[2]
            unseen = question in _PLACE and story.shots[shot].framing not in SHARED
            if label >= 0 and not unseen and (question not in ACCESSORIES or label != _NONE):
                right.append(int(reading.answer(name, slots).argmax()) == label)
    return sum(right) / len(right) if right else None


def _details(story: WorldStory, shot: int, reading: ShotReading) -> Iterator[tuple[Detail, Vectors]]:
    spec, unstated = story.shots[shot], unstated_details(story, shot)
    slots = slots_of_roles(story, shot, reading)
    if spec.framing in SHARED:
        for question in _PLACE:
            yield ("place", spec.place, question), reading.answer(question, slots)
    for person, role in zip(PERSONS, spec.roles, strict=False):
        for question in _PERSON:
            if unstated[f"{person}.{question}"] >= 0:
                yield ("character", role.character, question), reading.answer(f"{person}.{question}", slots)


def recognised(story: WorldStory, shot: int, reading: ShotReading) -> dict[str, bool]:
    """For every attribute of the shot that applies: is the likeliest answer the true one?"""
    truth, slots = asked_attributes(story, shot), slots_of_roles(story, shot, reading)
    return {name: int(reading.answer(name, slots).argmax()) == truth[name] for name in asked_of(story, shot)}


def stated(story: WorldStory, shot: int) -> list[str]:
    """The attributes the captions of this shot say in words."""
    return [name for name, said in stated_attributes(story, shot).items() if said]


def alignment_by_shot(story: WorldStory, readings: Sequence[ShotReading]) -> list[float]:
    """Share of the stated attributes that are recognised, per shot; a shot whose captions state nothing is left out."""
    shares = []
    for shot, reading in enumerate(readings):
        found, said = recognised(story, shot, reading), stated(story, shot)
        if said:
            shares.append(sum(found[name] for name in said) / len(said))
    return shares
