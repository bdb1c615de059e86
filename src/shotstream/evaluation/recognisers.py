"""What the recognisers read off one shot: probabilities of every answer, and embeddings, at a few moments.

Axes: T frames · M moments · S slots (persons from left to right) · E embedding · P picture features
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shotstream.core.errors import WeightsError
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
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.truth import ASKED, PERSONS, asked_attributes

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
