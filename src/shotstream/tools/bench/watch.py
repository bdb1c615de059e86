"""A stopwatch for named parts of the work, and the parts of a director with one in them.

It counts what is done in one thread, one thing after the other: measure with nothing side by side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import torch
from torch import Tensor

from shotstream.codecs.protocols import StreamDecoder, TextEncoder, VideoCodec
from shotstream.models.caches import CaptionCache
from shotstream.sampling.context import FinishedShot
from shotstream.sampling.director import ShotDirector
from shotstream.sampling.prompts import PromptReader, TextOnce
from shotstream.sampling.streaming import StreamingShot
from shotstream.tools.bench.figures import Stretch


class Watch:
    """Adds up ``seconds`` per name; a part within a part counts for the inner one alone. ``stretches``: all, in order
    of their ends, on the clock of :func:`time.perf_counter`."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.stretches: list[Stretch] = []
        self._device = device
        self._inner: list[float] = []  # seconds of finished parts within each open one

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done in here for ``name``."""
        started = self._now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            ended = self._now()
            self.seconds[name] += ended - started - self._inner.pop()
            self.stretches.append(Stretch(name=name, start=started, end=ended))
            if self._inner:
                self._inner[-1] += ended - started

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()


class TimedText:
    """A text encoder under the watch."""

    def __init__(self, encoder: TextEncoder, watch: Watch) -> None:
        self.encoder, self.watch = encoder, watch
        self.text_len, self.text_dim = encoder.text_len, encoder.text_dim

    def encode(self, captions: Sequence[str]) -> Tensor:
        with self.watch.part("text"):
            return self.encoder.encode(captions)

    def unknown_words(self, text: str) -> list[str]:
        return self.encoder.unknown_words(text)


class TimedReader(PromptReader):
    """Keys and values of prompts under the watch."""

    def __init__(self, reader: PromptReader, text: TextEncoder, watch: Watch) -> None:
        super().__init__(reader.model, text, reader.branches, reader.kept)
        self.watch = watch

    def read(self, prompts: Sequence[str]) -> CaptionCache:
        with self.watch.part("text"):
            return super().read(prompts)


class TimedCodec:
    """A video codec whose decoding is under the watch."""

    def __init__(self, codec: VideoCodec, watch: Watch) -> None:
        self.codec, self.watch, self.geometry = codec, watch, codec.geometry

    def encode(self, video: Tensor) -> Tensor:
        return self.codec.encode(video)

    def encode_images(self, images: Tensor) -> Tensor:
        return self.codec.encode_images(images)

    def decode(self, latents: Tensor) -> Tensor:
        with self.watch.part("decode"):
            return self.codec.decode(latents)

    def decoder(self) -> StreamDecoder:
        return _TimedDecoder(self.codec.decoder(), self.watch)


class _TimedDecoder:
    def __init__(self, decoder: StreamDecoder, watch: Watch) -> None:
        self.decoder, self.watch = decoder, watch

    def push(self, latents: Tensor) -> Tensor:
        with self.watch.part("decode"):
            return self.decoder.push(latents)


class TimedDirector(ShotDirector):
    """The director ``shots`` with every part under the watch, one thing after the other."""

    def __init__(self, shots: ShotDirector, watch: Watch) -> None:
        super().__init__(
            shots.model,
            shots.text_encoder.encoder,
            TimedCodec(shots.codec, watch),
            settings=shots.settings,
            schedule=shots.schedule,
            policy=shots.memory.policy,
            captions=shots.memory.captions,
            fuse=shots.fuse,
            shot_type=shots.shot_type,
        )
        self.watch = watch
        text = TextOnce(TimedText(shots.text_encoder.encoder, watch), shots.text_encoder.kept)
        self.text_encoder = self.memory.text_encoder = text
        self.memory.encoded.kept = shots.memory.encoded.kept
        self.reader = TimedReader(shots.reader, text, watch)

    def prepare(self, past: Sequence[FinishedShot], prompt: str) -> StreamingShot:
        with self.watch.part("context"):
            return super().prepare(past, prompt)
