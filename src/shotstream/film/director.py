"""The director of a loaded model: opens films, and answers what a film asks of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from shotstream.core.context_budget import ContextFrame
from shotstream.core.geometry import Geometry
from shotstream.film.film import Film
from shotstream.film.timed_sampler import TimedSampler
from shotstream.sampling.context import FinishedShot
from shotstream.sampling.director import Block, ShotDirector, ShotPlan
from shotstream.sampling.noise import NamedNoise
from shotstream.sampling.streaming import StreamingShot


class Director:
    """Made by :func:`shotstream.load`. ``model_version`` tells weights, and how they are sampled,
    from others."""

    def __init__(
        self, shots: ShotDirector, *, model_name: str, model_version: str, words: frozenset[str] = frozenset()
    ) -> None:
        self._shots = shots
        self._words = words
        self._clock = shots.sampler = TimedSampler(shots.sampler, self.device)
        self.model_name = model_name
        self.model_version = model_version

    @property
    def shots(self) -> ShotDirector:
        """Who makes the shots."""
        return self._shots

    @property
    def geometry(self) -> Geometry:
        return self._shots.codec.geometry

    @property
    def device(self) -> torch.device:
        return self._shots.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the model's matrix products."""
        return self._shots.model.dtype

    @property
    def denoise_seconds(self) -> float:
        """Time spent in denoising so far (not in reading captions, recalling the past, or decoding)."""
        return self._clock.seconds

    def open(self, *, global_caption: str, seed: int = 0, folder: str | Path | None = None) -> Film:
        """A new film. Nothing is made yet.

        folder: an empty or new one, in which the film is kept from now on: every command and every finished take is
        on the disk before it is acknowledged. Raises :class:`InputError` for a blank caption, an impossible seed or
        a folder that is not empty.
        """
        return Film.new(self, global_caption, seed, None if folder is None else Path(folder))

    def reopen(self, path: str | Path) -> Film:
        """The film saved in the file, or kept in the folder, ``path``, to go on with.

        Raises :class:`InputError` if it is none, or damaged.
        """
        return Film.reopen(self, path)

    def unknown_words(self, text: str) -> list[str]:
        """Words of ``text`` that the model was not trained on, in order, each once."""
        return self._shots.text_encoder.unknown_words(text)

    def known_words(self) -> frozenset[str]:
        """Every word the model was trained on; empty if it reads any word."""
        return self._words

    def cache_bytes(self) -> int:
        """Bytes of keys and values of the shots being made or prepared."""
        return self._shots.cache_bytes

    def warm_up(self) -> None:
        """Make and drop one block behind a grey past, so that what follows runs at its usual speed."""
        plan = ShotPlan(prompt="-", blocks=1, noise=NamedNoise(0, shot=0))
        for _ in self.make(plan, [_GreyShot(self.geometry)]):
            pass

    def remembers(self, past: Sequence[FinishedShot], prompt: str) -> tuple[ContextFrame, ...]:
        """Which frames of ``past`` condition the shot ``prompt`` that follows, oldest first."""
        return self._shots.memory.choose(past, prompt)

    def caption_in_memory(self, prompt: str) -> str:
        """The caption that condition frames of the shot ``prompt`` read; empty if each reads its own shot's."""
        return prompt if self._shots.memory.captions == "target" else ""

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        """Recall ``past`` and run the context pass before the next shot is asked for."""
        return self._shots.prepare(past, prompt)

    def read_ahead(self, prompt: str) -> None:
        """Read the prompt of a shot that may come next."""
        self._shots.read_ahead(prompt)

    def make(
        self, plan: ShotPlan, past: Sequence[FinishedShot], prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """The blocks of one shot, as they are made. Equal plans after equal pasts give equal frames, to the bit."""
        return self._shots.shot(plan, past, prepared)


class _GreyShot:
    """A past that shows nothing."""

    index = 0
    prompt = "-"

    def __init__(self, geometry: Geometry) -> None:
        self.key = "grey"
        self.frame_count = geometry.shot_frames(1)
        self._size = (geometry.height, geometry.width, 3)

    def pictures(self, frames: Sequence[int]) -> np.ndarray:
        return np.full((len(frames), *self._size), 128, dtype=np.uint8)
