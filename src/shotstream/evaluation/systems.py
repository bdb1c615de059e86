"""The systems a suite compares: the truth, floors and ceilings made from it, and models.

Each turns a suite's story into shots of frames. The truth is drawn to the same lengths a model makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from shotstream.codecs.protocols import VideoCodec
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.process import held_memory_bytes
from shotstream.core.randomness import derive
from shotstream.data.world.render import draw_shot
from shotstream.data.world.spec import WORLD_VERSION
from shotstream.evaluation.suites import SuiteStory
from shotstream.sampling.block import Block
from shotstream.sampling.context import ChosenContext, FinishedShot, to_frames, to_pixels
from shotstream.sampling.noise import NamedNoise
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
    """A model films a story shot by shot. ``with_context`` False: every shot is made as if it were the first."""

    def __init__(self, name: str, maker: ShotMaker, *, with_context: bool = True) -> None:
        self.name = name
        self.version = maker.model_version
        self.geometry = maker.geometry
        self._maker = maker
        self._with_context = with_context
        self._warm = False

    def film(self, story: SuiteStory) -> Iterator[FilmedShot]:
        if not self._warm:
            self._maker.warm_up()
            self._warm = True
        past: list[_Filmed] = []
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
