"""Runs systems over a suite. Every finished film and its judgement are on disk; the same call goes on where it stopped.

The systems: the truth, drawn to the lengths a model makes, floors and ceilings made from it, and models. Each turns a
suite's story into shots of frames.

FOLDER/<system>/story-000.mp4    the film
FOLDER/<system>/story-000.json   its :class:`StoryRecord`
FOLDER/<system>/story-000.npy    its image features, float64 [S, M, P]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from shotstream.codecs.protocols import VideoCodec
from shotstream.core.config import Config
from shotstream.core.context_budget import PINNED_SHOT
from shotstream.core.errors import InputError
from shotstream.core.files import whole_file, write_text
from shotstream.core.geometry import Geometry
from shotstream.core.process import held_memory_bytes
from shotstream.core.randomness import derive
from shotstream.core.story import Shot, Story
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import WORLD_VERSION, WorldStory
from shotstream.data.world.stills import pin_character, pin_place
from shotstream.evaluation.detectors import CutDetector
from shotstream.evaluation.judge import Judgement, Recognisers, judge
from shotstream.evaluation.suites import Suite, SuiteStory
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import FilmTags
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot, to_frames, to_pixels
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotRequest

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FilmedShot:
    """``frames`` uint8 [T, H, W, 3]; times in seconds, memory held at its end; None where nothing was generated."""

    frames: Frames
    seconds: float | None = None
    seconds_to_first_frame: float | None = None
    memory_bytes: int | None = None


class System(Protocol):
    """Makes films. ``version`` changes whenever its films would."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def geometry(self) -> Geometry: ...

    def film(self, story: SuiteStory) -> Iterator[FilmedShot]:
        """The shots of ``story``, in order."""


class ShotMaker(Protocol):
    """A loaded model, as a film's director offers it."""

    @property
    def geometry(self) -> Geometry: ...

    @property
    def model_version(self) -> str: ...

    @property
    def device(self) -> torch.device: ...

    def warm_up(self) -> None:
        """Make and drop a block."""

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        """What the model reads for shot number ``shot`` of a film."""

    def choose_context(self, past: Sequence[FinishedShot], prompt: str) -> ChosenContext:
        """What conditions the shot ``prompt`` that follows ``past``."""

    def make(self, request: ShotRequest, context: ChosenContext) -> Iterator[Block]:
        """The blocks of one shot."""


class Truth:
    """The world's own films; through ``codec`` the best any model can do, with ``others`` a floor.

    name: truth, autoencoder, shuffled (other stories' shots under this one's captions), still (every shot frozen
    at its first frame), fading (each shot paler than the one before), noise (colours at random, new in every frame).
    """

    def __init__(self, name: str, geometry: Geometry, codec: VideoCodec | None = None, codec_version: str = "") -> None:
        if (name == "autoencoder") != (codec is not None):
            raise ValueError("the system called autoencoder, and no other, needs a codec")
        self.name = name
        self.version = f"world-{WORLD_VERSION}{f'-{codec_version}' if codec else ''}"
        self.geometry = geometry
        self._codec = codec

    def film(self, story: SuiteStory) -> Iterator[FilmedShot]:
        lengths = story.lengths(self.geometry)
        for shot, length in enumerate(lengths):
            if self.name == "noise":
                yield FilmedShot(_noise(derive(story.story.seed, "noise", shot), length, self.geometry))
                continue
            shown = story.others[shot] if self.name == "shuffled" else story.story
            frames = draw_shot(shown, shot, length, self.geometry)
            yield FilmedShot(self._changed(frames, shot / max(1, len(lengths) - 1)))

    def _changed(self, frames: Frames, through: float) -> Frames:
        """``through``: how far the story has got, 0 to 1."""
        if self._codec is not None:
            return to_frames(self._codec.decode(self._codec.encode(to_pixels(frames)[None]))[0])
        if self.name == "still":
            return np.repeat(frames[:1], len(frames), axis=0)
        if self.name == "fading":
            pale = frames.astype(np.float32) * (1 - 0.8 * through) + 128 * 0.8 * through
            return np.asarray(pale.round().astype(np.uint8))
        return frames


def _noise(seed: int, frames: int, geometry: Geometry) -> Frames:
    """Soft blots of random colour, drawn anew for every frame."""
    blots = np.random.default_rng(seed).integers(0, 256, (frames, 5, 8, 3), dtype=np.uint8)
    size = (geometry.width, geometry.height)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in blots])


@dataclass(frozen=True, slots=True)
class _Filmed:
    """A finished shot, kept for the shots that are conditioned on it."""

    index: int
    prompt: str
    frames: Frames
    key: object = field(default_factory=object)

    @property
    def frame_count(self) -> int:
        return len(self.frames)

    def read_frames(self, frames: Sequence[int]) -> Frames:
        return self.frames[list(frames)]


class ModelSystem:
    """A model films a story shot by shot. ``with_context`` False: every shot is made as if it were the first.
    ``with_pictures``: a reference picture of every character and place is pinned, drawn by the world."""

    def __init__(self, name: str, maker: ShotMaker, *, with_context: bool = True, with_pictures: bool = False) -> None:
        self.name = name
        self.version = maker.model_version
        self.geometry = maker.geometry
        self._maker = maker
        self._with_context = with_context
        self._with_pictures = with_pictures
        self._warm = False

    def film(self, story: SuiteStory) -> Iterator[FilmedShot]:
        if not self._warm:
            self._maker.warm_up()
            self._warm = True
        past = _pinned(story.story, self.geometry) if self._with_pictures else []
        for index, spec in enumerate(story.story.shots):
            prompt = self._maker.prompt(story.story.global_caption, spec.caption, index)
            blocks = self.geometry.blocks_for(spec.seconds)
            request = ShotRequest(prompt=prompt, blocks=blocks, noise=NamedNoise(story.story.seed, shot=index))
            began = perf_counter()
            first, pieces = 0.0, []
            context = self._maker.choose_context(past if self._with_context else (), prompt)
            try:
                for block in self._maker.make(request, context):
                    first = first or perf_counter() - began
                    pieces.append(block.frames)
            except FloatingPointError as fault:
                raise InputError(f"{self.name}: {story.name}, shot {index}: {fault}") from fault
            frames = np.concatenate(pieces)
            past.append(_Filmed(index, prompt, frames))
            yield FilmedShot(frames, perf_counter() - began, first, held_memory_bytes(self._maker.device))


def _pinned(story: WorldStory, geometry: Geometry) -> list[_Filmed]:
    """Reference pictures of who is in ``story``, and of where it plays."""
    seen = sorted({role.character for shot in story.shots for role in shot.roles})
    pictures = [
        *(pin_character(story, one) for one in seen),
        *(pin_place(story, one) for one in range(len(story.places))),
    ]
    size = (geometry.width, geometry.height)
    return [_Filmed(PINNED_SHOT, one.caption, one.draw(*size)[None]) for one in pictures]


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
