"""Footage: one take's frames on disk, lossless, each frame readable alone.

H.264 in its lossless RGB profile, key frames only, in an MP4: any FFmpeg-based player shows it, and what is
read back is the same uint8 numbers. Frames condition later shots, so "nearly the same" would not do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file

_LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "1", "threads": "1"}
Footage = tuple[av.container.InputContainer, VideoStream]


def write_footage(path: Path, blocks: Sequence[np.ndarray], fps: int) -> None:
    """Write blocks of uint8 [t, height, width, 3] RGB to ``path``, whole or not. Raises :class:`StorageError`."""
    with whole_file(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4") as container:
                stream = container.add_stream("libx264rgb", rate=fps, options=_LOSSLESS)
                stream.height, stream.width, stream.pix_fmt = *blocks[0].shape[1:3], "rgb24"
                stream.codec_context.time_base = Fraction(1, fps)
                for index, pixels in enumerate(chain.from_iterable(blocks)):
                    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                    picture.pts, picture.time_base = index, Fraction(1, fps)
                    container.mux(stream.encode(picture))
                container.mux(stream.encode(None))
        except av.FFmpegError as fault:
            raise OSError(fault.errno, fault.strerror) from fault


def read_footage(path: Path, shape: tuple[int, int, int], indices: Iterable[int] | None = None) -> np.ndarray:
    """Frames ``indices`` (None: all) of footage of ``shape`` (frames, height, width): uint8 [n, height, width, 3].

    Only the frames asked for are decoded. Raises :class:`InputError` if the file is not that footage.
    """
    wanted = list(range(shape[0])) if indices is None else list(indices)
    found: dict[int, np.ndarray] = {}
    with _opened(path, shape) as (container, stream):
        for packet in container.demux(stream):
            if packet.pts is not None and _index(packet.pts, stream) not in wanted:
                continue
            for frame in packet.decode():
                found[_index(frame.pts, stream)] = _pixels(path, frame, shape)
    if any(index not in found for index in wanted):
        raise InputError(f"{path.name}: damaged footage (frames are missing); fetch the film again")
    return np.stack([found[index] for index in wanted])


def check_footage(path: Path, shape: tuple[int, int, int]) -> None:
    """Refuse a file whose header is not that of footage of ``shape`` (frames, height, width), without decoding it.

    Raises :class:`InputError`.
    """
    with _opened(path, shape):
        pass


def checksum(path: Path) -> str:
    """CRC-32 of the file, in hex: the one a zip states, quick enough to ask of a whole film. Raises OSError."""
    sum = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sum = zlib.crc32(piece, sum)
    return f"{sum:08x}"


@contextmanager
def _opened(path: Path, shape: tuple[int, int, int]) -> Iterator[Footage]:
    """Container and stream, checked before anything is decoded; memory is bounded by ``shape``."""
    try:
        with av.open(str(path), format="mp4") as container:
            streams = container.streams.video
            if len(container.streams) != 1 or not streams or streams[0].codec_context.name != "h264":
                raise InputError(f"{path.name}: not footage; a take is one lossless H.264 track")
            stream = streams[0]
            if (stream.frames, stream.height, stream.width) != shape:
                said = f"{stream.frames} frames of {stream.width}x{stream.height}"
                raise InputError(
                    f"{path.name}: holds {said}, not {shape[0]} of {shape[2]}x{shape[1]}; fetch the film again"
                )
            stream.codec_context.options = {"max_pixels": str(4 * shape[1] * shape[2])}
            stream.codec_context.thread_count = 1
            yield container, stream
    except av.FFmpegError as fault:
        raise InputError(f"{path.name}: damaged footage ({fault.strerror}); fetch the film again") from fault


def _index(pts: int | None, stream: VideoStream) -> int:
    """Number of the frame shown at ``pts``."""
    return -1 if pts is None or stream.time_base is None else round(pts * stream.time_base * (stream.average_rate or 0))


def _pixels(path: Path, frame: av.VideoFrame, shape: tuple[int, int, int]) -> np.ndarray:
    if (frame.height, frame.width) != shape[1:]:
        raise InputError(
            f"{path.name}: damaged footage (a frame of {frame.width}x{frame.height}); fetch the film again"
        )
    return frame.to_ndarray(format="rgb24")
