"""A whole run at a small size: films on disk, judged, scored, resumed, reported."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.core.context_budget import PINNED_SHOT, named_references
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.story import full_prompt
from shotstream.evaluation.detectors import PySceneDetect
from shotstream.evaluation.judge import Recognisers
from shotstream.evaluation.report import write_report
from shotstream.evaluation.run import ModelSystem, SuiteRun, Truth
from shotstream.evaluation.scores import score
from shotstream.evaluation.suites import Suite, SuiteFile, SuiteGroup
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot
from shotstream.sampling.shot_generator import ShotRequest


class GreyModel:
    """Paints every block in a grey that says how many shots it was given to remember."""

    model_version = "grey-1"
    device = torch.device("cpu")

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.remembered: list[int] = []
        self.broken = False

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return full_prompt(global_caption, caption)

    def warm_up(self) -> None:
        pass

    def choose_context(self, past: Sequence[FinishedShot], prompt: str) -> ChosenContext:
        return ChosenContext(past=tuple(past), frames=(), captions=(prompt,), caption_index=())

    def make(self, plan: ShotRequest, context: ChosenContext) -> Iterator[Block]:
        past = context.past
        self.remembered.append(len(past))
        if self.broken:
            raise FloatingPointError("not a number")
        for index in range(plan.blocks):
            count = self.geometry.shot_frames(index + 1) - (self.geometry.shot_frames(index) if index else 0)
            frames = np.full((count, self.geometry.height, self.geometry.width, 3), 40 * len(past) % 256, np.uint8)
            yield Block(index, frames)


@pytest.fixture
def run(recognisers: Recognisers, tmp_path: Path) -> SuiteRun:
    group = SuiteGroup(shots=3, seconds=(0.5625,), seeds=(1, 2))
    suite = Suite(SuiteFile(name="small", version=1, world_version=1, groups=(group,), captions_sha256=""))
    return SuiteRun(suite, recognisers, PySceneDetect(), tmp_path / "results")


def _ignore(system: str, done: int, total: int) -> None:
    pass


def test_truth_and_floors_from_films_to_page(run: SuiteRun, geometry: Geometry, tmp_path: Path) -> None:
    names = ("truth", "shuffled", "still", "noise", "fading")
    run.run([Truth(name, geometry) for name in names], None, _ignore)
    scores = score(run, names, None, {"clip": "not given"})
    truth, still = (scores.systems[name].measures for name in ("truth", "still"))
    assert truth["frechet_distance"].mean == pytest.approx(0, abs=1e-6)
    assert scores.systems["noise"].measures["frechet_distance"].mean > 0
    assert still["dynamic_degree"].mean == 0
    assert still["intra_background"].mean == pytest.approx(1, abs=1e-4)  # the MP4 is not lossless
    plain = scores.as_json()
    assert set(plain["systems"]["truth"]["drift"]) == {"mean", "low", "high"}
    assert plain["details"]["truth"]["missing"] == []
    write_report(run, scores, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    assert "| truth |" in page
    assert "clip: not given" in page
    assert (tmp_path / "images" / "results-shots.png").stat().st_size > 1000
    assert (tmp_path / "images" / "results-story-000.jpg").is_file()


def test_students_are_held_against_the_teacher(run: SuiteRun, geometry: Geometry, tmp_path: Path) -> None:
    names = ("truth", "teacher", "student", "other")
    systems = [Truth("truth", geometry), *(ModelSystem(name, GreyModel(geometry)) for name in names[1:])]
    run.run(systems, None, _ignore)
    scores = score(run, names, None, {})
    assert not scores.systems["truth"].behind and not scores.systems["teacher"].behind
    same = scores.systems["student"].behind
    for key in ("intra_subject", "intra_background", "text_alignment"):
        if key in same:
            assert same[key].mean == pytest.approx(0) == same[key].high
    assert "intra_background" in same and "frechet_distance" not in same and "drift" not in same
    write_report(run, scores, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    rows = page.split("## Against the teacher")[1].split("##")[0]
    assert "| student |" in rows and "| other |" in rows and "| truth |" not in rows


def test_a_run_goes_on_where_it_stopped(run: SuiteRun, geometry: Geometry) -> None:
    model = GreyModel(geometry)
    run.run([ModelSystem("student", model)], 1, _ignore)
    assert run.missing("student", None) == ("story-001",)
    run.run([ModelSystem("student", model)], None, _ignore)
    assert model.remembered == [0, 1, 2, 0, 1, 2]  # each story once
    assert run.missing("student", None) == ()
    model.model_version = "grey-2"
    run.run([ModelSystem("student", model)], 1, _ignore)
    assert len(model.remembered) == 9


def test_what_a_model_costs_is_recorded(run: SuiteRun, geometry: Geometry) -> None:
    ballast = mmap.mmap(-1, 1 << 28)
    run.run([ModelSystem("light", GreyModel(geometry))], 1, _ignore)
    ballast.write(b"x" * (1 << 28))
    run.run([ModelSystem("heavy", GreyModel(geometry))], 1, _ignore)
    ballast.close()
    run.run([Truth("truth", geometry)], 1, _ignore)
    story = run.suite.first(1)[0]
    light, heavy, truth = (run.record(name, story) for name in ("light", "heavy", "truth"))
    assert light and heavy and truth
    assert light.memory_bytes and heavy.memory_bytes and heavy.memory_bytes - light.memory_bytes > 1 << 27
    assert light.fps and light.seconds_to_first_frame
    assert (truth.memory_bytes, truth.fps, truth.seconds_to_first_frame) == (None, None, None)
    measures = score(run, ("light",), 1, {}).systems["light"].measures
    assert measures["memory_mb"].mean == pytest.approx(light.memory_bytes / 1e6)


def test_without_its_context_cache_a_model_remembers_nothing(run: SuiteRun, geometry: Geometry) -> None:
    model = GreyModel(geometry)
    run.run([ModelSystem("student-without-context-cache", model, with_context=False)], 1, _ignore)
    assert model.remembered == [0, 0, 0]


def test_reference_pictures_come_before_all_shots_and_are_named(run: SuiteRun, geometry: Geometry) -> None:
    given: list[Sequence[FinishedShot]] = []

    class Looking(GreyModel):
        def choose_context(self, past: Sequence[FinishedShot], prompt: str) -> ChosenContext:
            given.append(list(past))
            return super().choose_context(past, prompt)

    run.run([ModelSystem("student-with-pictures", Looking(geometry), with_pictures=True)], 1, _ignore)
    story = run.suite.first(1)[0].story
    pictures = given[0]
    assert [len(past) - len(pictures) for past in given] == [0, 1, 2]
    assert len(pictures) == len({role.character for shot in story.shots for role in shot.roles}) + len(story.places)
    prompts = [full_prompt(story.global_caption, shot.caption) for shot in story.shots]
    for one in pictures:
        assert (one.index, one.frame_count) == (PINNED_SHOT, 1) and len(np.unique(one.read_frames([0]))) > 10
        assert any(named_references([one.prompt], prompt, 3) for prompt in prompts), one.prompt


def test_frames_that_are_not_numbers_are_named_and_nothing_is_recorded(run: SuiteRun, geometry: Geometry) -> None:
    model = GreyModel(geometry)
    model.broken = True
    with pytest.raises(InputError, match="student: story-000, shot 0: not a number"):
        run.run([ModelSystem("student", model)], 1, _ignore)
    assert run.missing("student", 1) == ("story-000",)
    assert not list(run.folder.rglob("*.mp4"))


def test_more_stories_than_there_are_is_refused(run: SuiteRun) -> None:
    with pytest.raises(InputError, match="give 1 to 2"):
        run.suite.first(3)
