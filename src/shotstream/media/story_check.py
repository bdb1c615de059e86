"""Looking at a story before it is made: lengths, unknown words, cuts that may not read as cuts."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise

from shotstream.core.config import Config
from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story

SAME = 0.9  # neighbouring captions this alike ask for the same picture twice


class ShotCheck(Config):
    """One shot as it will be: its length after rounding to whole blocks."""

    index: int
    caption: str
    frames: int
    seconds: float
    unknown_words: tuple[str, ...]


class StoryCheck(Config):
    """What is to be expected of a story. ``warnings`` are sentences for a person; none of them stops a film."""

    shots: tuple[ShotCheck, ...]
    frames: int
    seconds: float
    unknown_words: tuple[str, ...]
    warnings: tuple[str, ...]


def check_story(story: Story, geometry: Geometry, unknown_words: Callable[[str], list[str]]) -> StoryCheck:
    """Look at ``story`` as a preset would make it; ``unknown_words`` names what its text encoder never saw."""
    shots = tuple(_check_shot(index, shot, geometry, unknown_words) for index, shot in enumerate(story.shots))
    unknown = list(
        dict.fromkeys([*unknown_words(story.global_caption), *(word for shot in shots for word in shot.unknown_words)])
    )
    warnings = [*_roundings(story, shots), *_weak_cuts(story.shots)]
    if unknown:
        warnings.append(f"words the model does not know: {', '.join(unknown)}")
    frames = sum(shot.frames for shot in shots)
    return StoryCheck(
        shots=shots,
        frames=frames,
        seconds=frames / geometry.fps,
        unknown_words=tuple(unknown),
        warnings=tuple(warnings),
    )


def _check_shot(index: int, shot: Shot, geometry: Geometry, unknown_words: Callable[[str], list[str]]) -> ShotCheck:
    blocks = shot.blocks(geometry)
    return ShotCheck(
        index=index,
        caption=shot.caption,
        frames=geometry.shot_frames(blocks),
        seconds=geometry.shot_seconds(blocks),
        unknown_words=tuple(unknown_words(shot.caption)),
    )


def _roundings(story: Story, shots: tuple[ShotCheck, ...]) -> list[str]:
    return [
        f"shot {found.index}: {asked.seconds:g} s becomes {found.seconds:.2f} s, a whole number of blocks"
        for asked, found in zip(story.shots, shots, strict=True)
        if asked.seconds is not None and abs(asked.seconds - found.seconds) > 0.1
    ]


def _weak_cuts(shots: tuple[Shot, ...]) -> list[str]:
    """A cut reads as one when something changes: framing, place, light, or who is seen."""
    return [
        f"shots {index} and {index + 1} ask for nearly the same picture: the cut between them may not read as a cut; "
        "change the framing, the place or who is seen"
        for index, (here, after) in enumerate(pairwise(shots))
        if not reads_as_cut(here.caption, after.caption)
    ]


def reads_as_cut(here: str, after: str) -> bool:
    """Do the captions of two neighbouring shots differ enough for the cut between them to be seen?"""
    first, second = (re.findall(r"\w+", caption.lower()) for caption in (here, after))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() < SAME
