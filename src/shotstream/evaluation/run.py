"""Run systems over a suite. Every finished film and its judgement are on disk; the same call goes on where it stopped.

FOLDER/<system>/story-000.mp4    the film
FOLDER/<system>/story-000.json   its :class:`StoryRecord`
FOLDER/<system>/story-000.npy    its image features, float64 [S, M, P]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from shotstream.core.config import Config
from shotstream.core.files import whole_file, write_text
from shotstream.core.story import Shot, Story
from shotstream.evaluation.detectors import CutDetector
from shotstream.evaluation.judge import Judgement, judge
from shotstream.evaluation.recognisers import Recognisers
from shotstream.evaluation.suites import Suite, SuiteStory
from shotstream.evaluation.systems import System
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import FilmTags

Progress = Callable[[str, int, int], None]  # system, stories done, stories in all


class Judges(Config):
    """Who judged: results of different judges are never mixed."""

    suite: str
    recognisers: str
    detector: str


class StoryRecord(Config):
    """One film of one system. Rates count the model's time alone, ``memory_bytes`` is the most held at the end of a
    shot; None where nothing was generated."""

    judges: Judges
    system_version: str
    lengths: tuple[int, ...]
    fps: float | None
    seconds_to_first_frame: float | None
    memory_bytes: int | None
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """A suite, who judges it, and where the results live."""

    suite: Suite
    recognisers: Recognisers
    detector: CutDetector
    folder: Path

    @property
    def judges(self) -> Judges:
        return Judges(suite=self.suite.version, recognisers=self.recognisers.name, detector=self.detector.name)

    def run(self, systems: Iterable[System], count: int | None, progress: Progress) -> None:
        """Film and judge what is missing."""
        stories = self.suite.first(count)
        for system in systems:
            for done, story in enumerate(stories):
                progress(system.name, done, len(stories))
                if self.record(system.name, story, system.version) is None:
                    self._film(system, story)
            progress(system.name, len(stories), len(stories))

    def record(self, system: str, story: SuiteStory, version: str | None = None) -> StoryRecord | None:
        """What is known of one film; None if it is missing, or was made or judged otherwise."""
        path = self._path(system, story, ".json")
        if not path.is_file():
            return None
        try:
            found = StoryRecord.model_validate_json(path.read_bytes())
        except ValidationError:  # written by another version of this program: as good as missing
            return None
        same = found.judges == self.judges and version in (None, found.system_version)
        return found if same else None

    def missing(self, system: str, count: int | None) -> tuple[str, ...]:
        """Names of the stories a system has not filmed yet."""
        return tuple(story.name for story in self.suite.first(count) if self.record(system, story) is None)

    def features(self, system: str, story: SuiteStory) -> np.ndarray:
        """Image features [S, M, P] of a film that has a record."""
        return np.asarray(np.load(self._path(system, story, ".npy")))

    def film(self, system: str, story: SuiteStory) -> Path:
        """Where a film is."""
        return self._path(system, story, ".mp4")

    def _path(self, system: str, story: SuiteStory, ending: str) -> Path:
        return self.folder / system / f"{story.name}{ending}"

    def _film(self, system: System, story: SuiteStory) -> None:
        film, geometry = self.film(system.name, story), system.geometry
        film.parent.mkdir(parents=True, exist_ok=True)
        self._path(system.name, story, ".json").unlink(missing_ok=True)  # the old film's; the new one is not done
        frames, seconds, firsts, held = 0, 0.0, [], []
        video = VideoFormat(width=geometry.width, height=geometry.height, fps=geometry.fps)
        with write_film(film, video, _tags(system, story)) as writer:
            for index, shot in enumerate(system.film(story)):
                writer.add_shot(f"shot {index}", shot.frames)
                frames += len(shot.frames)
                seconds += shot.seconds or 0.0
                firsts += [] if shot.seconds_to_first_frame is None else [shot.seconds_to_first_frame]
                held += [] if shot.memory_bytes is None else [shot.memory_bytes]
        planned = story.lengths(geometry)
        judgement, features = judge(film, story.story, planned, geometry, self.recognisers, self.detector)
        with whole_file(self._path(system.name, story, ".npy")) as temporary, temporary.open("wb") as file:
            np.save(file, features)
        record = StoryRecord(
            judges=self.judges,
            system_version=system.version,
            lengths=planned,
            fps=frames / seconds if seconds else None,
            seconds_to_first_frame=float(np.mean(firsts)) if firsts else None,
            memory_bytes=max(held) if held else None,
            judgement=judgement,
        )
        write_text(self._path(system.name, story, ".json"), record.model_dump_json(indent=1))


def _tags(system: System, story: SuiteStory) -> FilmTags:
    shots = tuple(Shot(caption=shot.caption, seconds=shot.seconds) for shot in story.story.shots)
    script = Story(global_caption=story.story.global_caption, seed=story.story.seed, shots=shots)
    return FilmTags(
        title=story.name, story=script, seed=story.story.seed, model=system.name, model_version=system.version
    )
