"""A sound track of a person's own, laid under a film while it is written: AAC, 48 kHz, stereo.

Axes: 2 channels · N samples
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from shotstream.core.errors import InputError

RATE = 48_000  # samples per second
BITS = 160_000  # per second
PACKET = 1024  # samples of an AAC packet
# Files that hold sound themselves: no playlist is followed, nothing is fetched from a network.
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "aac,aiff,flac,matroska,mov,mp3,ogg,wav"}


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound track of the file ``path`` from ``start`` seconds on."""

    path: Path
    start: float = 0.0

    def later(self, seconds: float) -> Sound:
        """What is heard so much later."""
        return replace(self, start=self.start + seconds)


def read_sound(path: Path) -> Sound:
    """The sound track of ``path``, from its beginning. Raises :class:`InputError` if it has none that can be read."""
    if next(_decoded(path), None) is None:
        raise InputError(f"{path}: its sound track is empty; name another")
    return Sound(path)


class SoundTrack:
    """Writes ``sound`` into ``container``, as long as the pictures are; where it is over, there is silence. Made before
    the first picture is written."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        self._container = container
        self._stream: AudioStream = container.add_stream("aac", rate=RATE, layout="stereo")
        self._stream.bit_rate = BITS
        self._source = _samples(sound)
        self._waiting = np.zeros((2, 0), np.float32)
        self._written = 0

    def write_until(self, seconds: float) -> None:
        """Bring the track up to so many seconds of film, to the next packet. Raises :class:`InputError`."""
        while self._written < seconds * RATE:
            while self._waiting.shape[1] < PACKET and (more := next(self._source, None)) is not None:
                self._waiting = np.concatenate([self._waiting, more], axis=1)
            samples, self._waiting = self._waiting[:, :PACKET], self._waiting[:, PACKET:]
            padded = np.pad(samples, ((0, 0), (0, PACKET - samples.shape[1])))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(padded), format="fltp", layout="stereo")
            frame.pts, frame.sample_rate, frame.time_base = self._written, RATE, Fraction(1, RATE)
            self._container.mux(self._stream.encode(frame))
            self._written += PACKET

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


def _samples(sound: Sound) -> Iterator[np.ndarray]:
    """What is heard, float32 [2, N] at :data:`RATE`, piece by piece."""
    skip = round(sound.start * RATE)
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    for frame in chain(_decoded(sound.path), (None,)):  # None: what the resampler still holds
        for part in resampler.resample(frame):
            samples = part.to_ndarray()
            yield samples[:, skip:]
            skip = max(0, skip - samples.shape[1])


def _decoded(path: Path) -> Iterator[av.AudioFrame]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; name one with sound")
    try:
        with av.open(f"file:{path}", options=dict(_OPTIONS), metadata_errors="replace") as container:
            if not container.streams.audio:
                raise InputError(f"{path}: has no sound track; name a file that has one")
            yield from container.decode(container.streams.audio[0])
    except (av.FFmpegError, OSError) as fault:
        raise InputError(f"{path}: its sound cannot be read ({fault.strerror}); save it as WAV or MP3") from fault
