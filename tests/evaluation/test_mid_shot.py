"""The measure of changes in mid-shot, on the world itself: it shows what captions say, or does not listen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import full_prompt
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import WorldStory
from shotstream.data.world.truth import asked_attributes
from shotstream.evaluation.context import ANSWERS, Change, find_changes, score_changes
from shotstream.evaluation.judge import Recognisers
from shotstream.evaluation.suites import read_suite
from shotstream.families.storyworld import STORYWORLD
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot
from shotstream.sampling.shot_generator import ShotRequest


class World:
    """Draws what the prompt tells, from the block on in which it does. ``deaf``: what the first one told."""

    model_version = "world-1"
    device = torch.device("cpu")
    geometry: Geometry = STORYWORLD.geometry

    def __init__(self, changes: Sequence[Change], *, deaf: bool = False) -> None:
        self.shows: dict[str, WorldStory] = {}
        self.deaf = deaf
        for change in changes:
            whole = change.story.global_caption
            self.shows[full_prompt(whole, change.before)] = change.story
            self.shows[full_prompt(whole, change.after)] = change.changed

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return full_prompt(global_caption, caption)

    def warm_up(self) -> None:
        pass

    def choose_context(self, past: Sequence[FinishedShot], prompt: str) -> ChosenContext:
        return ChosenContext(past=tuple(past), frames=(), captions=(prompt,), caption_index=())

    def make(self, plan: ShotRequest, context: ChosenContext) -> Iterator[Block]:
        heard, index = plan.prompt, 0
        while index < plan.blocks:
            shown = self.shows[heard if self.deaf else plan.prompt]
            first = self.geometry.shot_frames(index) if index else 0
            whole = draw_shot(shown, 0, self.geometry.shot_frames(index + 1), self.geometry)
            yield Block(index, whole[first:])
            index += 1


@pytest.fixture(scope="module")
def changes() -> list[Change]:
    return list(find_changes([one.story for one in read_suite("storyworld-101").first(60)]))


def test_one_thing_changes_and_captions_say_so(changes: list[Change]) -> None:
    assert {change.attribute for change in changes} == set(ANSWERS)
    assert len({(change.attribute, change.answer) for change in changes}) > 6
    for change in changes:
        before, after = asked_attributes(change.story, 0), asked_attributes(change.changed, 0)
        assert [name for name in before if before[name] != after[name]] == [change.attribute]
        assert after[change.attribute] == change.answer
        assert change.before != change.after


def test_who_listens_and_who_does_not(changes: list[Change]) -> None:
    few = [change for change in changes if change.attribute != "focus.action"][:8]
    recognisers = Recognisers.load()
    told: list[int] = []
    heard = score_changes(World(few), recognisers, few, told.append)["all"]
    deaf = score_changes(World(few, deaf=True), recognisers, few, told.append)["all"]
    assert heard.changes == len(few) and told == [*range(1, 9)] * 2
    assert heard.after.mean > 0.8 and heard.whole.mean > 0.8 and heard.place_kept.mean > 0.7
    assert deaf.after.mean < 0.2 and heard.before.mean < 0.2


def test_nothing_to_change() -> None:
    with pytest.raises(InputError, match="take more stories"):
        score_changes(World([]), Recognisers.load(), [], lambda done: None)
