"""Identity recall: are details that no caption states the same as when they were last to be seen?

A model cannot know such a detail before it first draws it, so nothing is compared with the world's truth: the
recognisers' answer in a shot is compared with their answer over all earlier shots of the same character or place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from shotstream.data.world.shots import SHARED
from shotstream.data.world.spec import ACCESSORIES, WorldStory
from shotstream.data.world.truth import PERSONS, unstated_details
from shotstream.evaluation.recognisers import ShotReading, Vectors, slots_of_roles

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
