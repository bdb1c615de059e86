"""Checks a story before it is made: lengths, unknown words, long prompts, cuts that may not read."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from shotstream.core.config import Config
from shotstream.core.geometry import Geometry
from shotstream.core.story import Shot, Story
from shotstream.core.words import lost_said, nearest, unknown_said, words_of
from shotstream.media.pictures import read_picture
from shotstream.media.prompt_formats.rewriting import without_count
from shotstream.media.video import read_times

SAME = 0.9  # neighbouring captions this alike ask for the same picture twice


class Reader(Protocol):
    """Who will make the story, as far as it reads it: a director."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def text_len(self) -> int:
        """Tokens of a prompt that are read."""

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        """What is read for shot number ``shot``, from 0."""

    def unknown_words(self, text: str) -> list[str]:
        """Words of ``text`` that training never saw."""

    def known_words(self) -> frozenset[str]:
        """All words that training saw; empty if any word is read."""

    def lost_words(self, prompt: str) -> list[str]:
        """Words of ``prompt`` that are not read because it is too long."""


class ShotCheck(Config):
    """One shot as it will be: its length after rounding to whole blocks, and what of its prompt will not count."""

    index: int
    caption: str
    frames: int
    seconds: float
    unknown_words: tuple[str, ...]
    lost_words: tuple[str, ...]


class StoryCheck(Config):
    """What is to be expected of a story. ``warnings`` are sentences for a person; none of them stops a film.

    ``nearest``: for unknown words, the known ones that are spelt most like them. ``blind``: numbers of the shots of
    whose whole prompt no word is known.
    """

    shots: tuple[ShotCheck, ...]
    frames: int
    seconds: float
    unknown_words: tuple[str, ...]
    nearest: dict[str, str]
    blind: tuple[int, ...]
    warnings: tuple[str, ...]


def check_story(story: Story, reader: Reader) -> StoryCheck:
    """Look at ``story`` as ``reader`` would make it."""
    shots = tuple(_check_shot(story, index, reader) for index in range(len(story.shots)))
    unknown = unknown_words(story, reader)
    known = reader.known_words()
    near = {word: found[0] for word in unknown if (found := nearest(word, known))}
    warnings = [
        *_roundings(story, shots),
        *_long_shots(story, shots, reader.geometry),
        *_endless(story, shots),
        *_weak_cuts(story.shots),
        *_cut_prompts(shots, reader.text_len),
    ]
    if unknown:
        said = (f"{word} (nearest: {near[word]})" if word in near else word for word in unknown)
        warnings.append(unknown_said(list(said)))
    frames = sum(shot.frames for shot in shots)
    return StoryCheck(
        shots=shots,
        frames=frames,
        seconds=frames / reader.geometry.fps,
        unknown_words=unknown,
        nearest=near,
        blind=tuple(shot.index for shot in shots if _nothing_known(story, shot, reader)),
        warnings=tuple(warnings),
    )


def unknown_words(story: Story, reader: Reader) -> tuple[str, ...]:
    """Words of any caption of ``story`` that ``reader`` does not know, in order, each once."""
    captions = [without_count(story.global_caption)]
    for shot in story.shots:
        captions += [shot.caption, *(change.caption for change in shot.changes or ())]
    return tuple(dict.fromkeys(word for text in captions for word in reader.unknown_words(text)))


def _check_shot(story: Story, index: int, reader: Reader) -> ShotCheck:
    shot = story.shots[index]
    frames = _frames_of(shot, reader.geometry)
    captions = [shot.caption, *(change.caption for change in shot.changes or ())]
    return ShotCheck(
        index=index,
        caption=shot.caption,
        frames=frames,
        seconds=frames / reader.geometry.fps,
        unknown_words=tuple(dict.fromkeys(word for text in captions for word in reader.unknown_words(text))),
        lost_words=tuple(
            word for text in captions for word in reader.lost_words(reader.prompt(story.global_caption, text, index))
        ),
    )


def _frames_of(shot: Shot, geometry: Geometry) -> int:
    """How many frames ``shot`` will have; those of a clip of one's own are counted from its timestamps."""
    clip = shot.clip
    if clip is None or read_picture(Path(clip.file)) is not None:
        return geometry.shot_frames(shot.blocks(geometry))
    times = read_times(Path(clip.file))
    ends = times[-1] + times[-1] / max(1, len(times) - 1) if times else 0.0
    return round((ends if clip.stop is None else min(clip.stop, ends)) * geometry.fps - clip.start * geometry.fps)


def _nothing_known(story: Story, shot: ShotCheck, reader: Reader) -> bool:
    """Is no word of the shot's prompt, its own caption or the film's, one that training saw? A clip of one's own is
    shown whatever its words are."""
    if story.shots[shot.index].clip is not None:
        return False
    text = f"{without_count(story.global_caption)} {shot.caption}"
    return set(words_of(text)) <= set(reader.unknown_words(text))


def _roundings(story: Story, shots: tuple[ShotCheck, ...]) -> list[str]:
    return [
        f"shot {found.index}: {asked.seconds:g} s becomes {found.seconds:.2f} s, a whole number of blocks"
        for asked, found in zip(story.shots, shots, strict=True)
        if asked.seconds is not None and abs(asked.seconds - found.seconds) > 0.1
    ]


def _long_shots(story: Story, shots: tuple[ShotCheck, ...], geometry: Geometry) -> list[str]:
    longest = geometry.shot_seconds(geometry.max_blocks)
    return [
        f"shot {shot.index}: {shot.seconds:.2f} s is longer than the {longest:.2f} s the model was trained for; it "
        "sees the shot's beginning and its last seconds only, and may drift"
        for shot in shots
        if shot.seconds > longest and story.shots[shot.index].clip is None
    ]


def _endless(story: Story, shots: tuple[ShotCheck, ...]) -> list[str]:
    return [
        f"shot {shot.index}: goes on for at least {shot.seconds:.2f} s until it is cut, in a studio; it is not rendered"
        for shot in shots
        if story.shots[shot.index].endless
    ]


def _cut_prompts(shots: tuple[ShotCheck, ...], text_len: int) -> list[str]:
    return [f"shot {shot.index}: {lost_said(shot.lost_words, text_len)}" for shot in shots if shot.lost_words]


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
