"""How the packaged suites were chosen: where the world changes, their stories are chosen anew by these."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice

from shotstream.core.randomness import derive
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.evaluation.suites import LATE, Suite, SuiteFile, SuiteGroup, caption_checksum, shown_in


def gaps(story: WorldStory) -> list[int]:
    """For every shot, for how many shots a place or character in it had been away, at most; 0 if none."""
    last: dict[tuple[str, int], int] = {}
    away = []
    for index, shot in enumerate(story.shots):
        away.append(max((index - last[one] - 1 for one in shown_in(shot) if one in last), default=0))
        last |= dict.fromkeys(shown_in(shot), index)
    return away


def has_reverse_shot(story: WorldStory) -> bool:
    """Do two neighbouring near shots show one character each, the first facing right, the second left?"""
    for one, two in zip(story.shots, story.shots[1:], strict=False):
        near = one.framing == two.framing in ("medium", "close-up") and one.place == two.place
        apart = one.roles[0].character != two.roles[0].character
        if near and apart and (one.roles[0].direction, two.roles[0].direction) == ("right", "left"):
            return True
    return False


def choose_storyworld_101(version: int = 1) -> SuiteFile:
    """How ``storyworld-101`` was chosen: the first seeds whose stories ask for what the suite is to measure."""
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
    return _fixed("storyworld-101", version, *groups)


def choose_storyworld_long(version: int = 1) -> SuiteFile:
    """How ``storyworld-long`` was chosen: the first seeds whose 48 shots come back to something after 12 and more."""
    short = (1.3125,)
    group = SuiteGroup(shots=48, seconds=short, seeds=_chosen(48, short, 24, lambda story: max(gaps(story)) >= 12))
    return _fixed("storyworld-long", version, group)


def _fixed(name: str, version: int, *groups: SuiteGroup) -> SuiteFile:
    draft = SuiteFile(name=name, version=version, world_version=WORLD_VERSION, groups=groups, captions_sha256="")
    return draft.model_copy(update={"captions_sha256": caption_checksum(Suite(draft))})


def _chosen(
    shots: int, seconds: tuple[float, ...], number: int, wanted: Callable[[WorldStory], bool]
) -> tuple[int, ...]:
    group = SuiteGroup(shots=shots, seconds=seconds, seeds=())
    seeds = (derive(100, "suite", shots, attempt) >> 31 for attempt in count())
    return tuple(islice((seed for seed in seeds if wanted(group.story(seed))), number))
