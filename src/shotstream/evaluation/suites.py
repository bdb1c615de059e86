"""Suites: fixed lists of held-out stories that every system is asked to film.

A suite is a small JSON file in the package: seeds, options, and a checksum of the captions, so that a change of
the world is noticed instead of silently changing what results mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import count, islice

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.stories import StoryStyle, make_story

LATE = 4  # shots between a late return and the last time its place or character was seen


class SuiteGroup(Config):
    """Stories of one kind. ``seconds``: the possible lengths of their shots, equally likely."""

    shots: int
    seconds: tuple[float, ...]
    seeds: tuple[int, ...]

    def story(self, seed: int) -> WorldStory:
        """The story called ``seed``, always of the held-out split."""
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


def gaps(story: WorldStory) -> list[int]:
    """For every shot, for how many shots a place or character in it had been away, at most; 0 if none."""
    last: dict[tuple[str, int], int] = {}
    away = []
    for index, shot in enumerate(story.shots):
        seen = [("place", shot.place), *(("character", role.character) for role in shot.roles)]
        away.append(max((index - last[one] - 1 for one in seen if one in last), default=0))
        last |= dict.fromkeys(seen, index)
    return away


def has_reverse_shot(story: WorldStory) -> bool:
    """Do two neighbouring near shots show one character each, the first facing right, the second left?"""
    for one, two in zip(story.shots, story.shots[1:], strict=False):
        near = one.framing == two.framing in ("medium", "close-up") and one.place == two.place
        apart = one.roles[0].character != two.roles[0].character
        if near and apart and (one.roles[0].direction, two.roles[0].direction) == ("right", "left"):
            return True
    return False


def choose_storyworld_100(version: int = 1) -> SuiteFile:
    """How ``storyworld-100`` was chosen: the first seeds whose stories ask for what the suite is to measure."""
    two_to_three, short = (2.0625, 2.8125), (1.3125,)
    reverse = _chosen(5, two_to_three, 40, lambda story: max(gaps(story)) > 0 and has_reverse_shot(story))
    plain = _chosen(5, two_to_three, 60, lambda story: max(gaps(story)) > 0 and not has_reverse_shot(story))
    mixed = [seed for number in range(20) for seed in (*reverse[2 * number :][:2], *plain[3 * number :][:3])]
    drift = _chosen(8, short, 24, lambda story: max(gaps(story)) > 0)
    late = _chosen(12, short, 24, lambda story: max(gaps(story)[-4:]) >= LATE)
    groups = (
        SuiteGroup(shots=5, seconds=two_to_three, seeds=tuple(mixed)),
        SuiteGroup(shots=8, seconds=short, seeds=drift),
        SuiteGroup(shots=12, seconds=short, seeds=late),
    )
    draft = SuiteFile(
        name="storyworld-100", version=version, world_version=WORLD_VERSION, groups=groups, captions_sha256=""
    )
    return draft.model_copy(update={"captions_sha256": caption_checksum(Suite(draft))})


def _chosen(
    shots: int, seconds: tuple[float, ...], number: int, wanted: Callable[[WorldStory], bool]
) -> tuple[int, ...]:
    group = SuiteGroup(shots=shots, seconds=seconds, seeds=())
    seeds = (derive(100, "suite", shots, attempt) >> 31 for attempt in count())
    return tuple(islice((seed for seed in seeds if wanted(group.story(seed))), number))
