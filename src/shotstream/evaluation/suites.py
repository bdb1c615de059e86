"""Suites: fixed lists of held-out stories that every system is asked to film.

A suite is a small JSON file in the package: seeds, options, and a checksum of the captions, so that a change of
the world is noticed instead of silently changing what results mean.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.data.world.spec import WORLD_VERSION, WorldShot, WorldStory
from shotstream.data.world.stories import StoryStyle, make_story

RETIRED = {"storyworld-100": "storyworld-101"}  # suites of earlier worlds, and what took their place
LATE = 4  # shots between a late return and the last time its place or character was seen


class SuiteGroup(Config):
    """Stories of one kind. ``seconds``: the possible lengths of their shots, equally likely."""

    shots: int
    seconds: tuple[float, ...]
    seeds: tuple[int, ...]

    def story(self, seed: int) -> WorldStory:
        """The story called ``seed``, always of the held-out split; no shot changes: :mod:`mid_shot` measures that."""
        style = StoryStyle(seconds=self.seconds, seconds_weights=(1.0,) * len(self.seconds))
        return make_story(seed, split="held-out", shots=self.shots, style=style)


class SuiteFile(Config):
    """What the JSON file holds."""

    name: str
    version: int
    world_version: int
    groups: tuple[SuiteGroup, ...]
    captions_sha256: str


@dataclass(frozen=True)
class SuiteStory:
    """One story of a suite. ``others``: for every shot another story of its kind, whose shot is shown under this
    one's captions to get a floor."""

    number: int
    story: WorldStory
    others: tuple[WorldStory, ...]

    @property
    def name(self) -> str:
        return f"story-{self.number:03d}"

    def lengths(self, geometry: Geometry) -> tuple[int, ...]:
        """Frames of every shot."""
        return tuple(geometry.shot_frames(geometry.blocks_for(shot.seconds)) for shot in self.story.shots)


@dataclass(frozen=True)
class Suite:
    """Stories in an order in which every beginning holds each group in its proportion."""

    file: SuiteFile

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def version(self) -> str:
        return f"{self.file.name}-{self.file.version}"

    def first(self, count: int | None) -> tuple[SuiteStory, ...]:
        """The first ``count`` stories; None for all. Raises :class:`InputError` for more than there are."""
        there = sum(len(group.seeds) for group in self.file.groups)
        if count is not None and not 1 <= count <= there:
            raise InputError(f"--stories {count}: suite {self.name} has {there} stories; give 1 to {there}")
        return self.stories[:count]

    @cached_property
    def stories(self) -> tuple[SuiteStory, ...]:
        told = [[group.story(seed) for seed in group.seeds] for group in self.file.groups]
        placed = sorted(
            ((index + 0.5) / len(group), number, index)
            for number, group in enumerate(told)
            for index in range(len(group))
        )
        return tuple(
            SuiteStory(place, told[group][index], _others(told[group], index))
            for place, (_, group, index) in enumerate(placed)
        )


def _others(group: list[WorldStory], index: int) -> tuple[WorldStory, ...]:
    """The stories that follow ``index`` in its group, one per shot."""
    return tuple(group[(index + 1 + shot) % len(group)] for shot in range(len(group[index].shots)))


def suite_names() -> tuple[str, ...]:
    """Names of the suites in the package."""
    folder = files("shotstream.evaluation") / "suite_files"
    return tuple(sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json")))


def read_suite(name: str) -> Suite:
    """The suite called ``name``. Raises :class:`InputError` if the world now tells others."""
    if name in RETIRED:
        raise InputError(f"suite {name}: its world is no longer drawn; the suite of this one is {RETIRED[name]}")
    if name not in suite_names():
        raise InputError(f"no suite is called {name!r}; known: {', '.join(suite_names())}")
    text = (files("shotstream.evaluation") / "suite_files" / f"{name}.json").read_text(encoding="utf-8")
    suite = Suite(SuiteFile.model_validate_json(text))
    if suite.file.world_version != WORLD_VERSION or caption_checksum(suite) != suite.file.captions_sha256:
        raise InputError(
            f"suite {name}: the world (version {WORLD_VERSION}) no longer tells the stories it was fixed with "
            f"(version {suite.file.world_version}); raise the suite's version and choose its stories anew"
        )
    return suite


def caption_checksum(suite: Suite) -> str:
    """SHA-256 of every caption and length, in order."""
    lines = [
        "\n".join([one.story.global_caption, *(f"{shot.seconds} {shot.caption}" for shot in one.story.shots)])
        for one in suite.stories
    ]
    return hashlib.sha256("\n\n".join(lines).encode()).hexdigest()


def shown_in(shot: WorldShot) -> set[tuple[str, int]]:
    """The place and the characters of ``shot``, by kind and number."""
    return {("place", shot.place), *(("character", role.character) for role in shot.roles)}
