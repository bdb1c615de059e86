"""H.264 settings (BT.709 colours, limited range, 4:2:0, converted exactly), and blocks as pieces of fragmented MP4.

Pieces are for a browser's Media Source Extensions. Each brings its own initialisation and begins with a key frame: a
viewer can come in at any of them, and one that is late can be left out without harm to the next. It costs about a
kilobyte a piece.

Axes: T frames · H, W pixels
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from shotstream.core.config import Config
from shotstream.media.display import EXACT


class VideoFormat(Config):
    """Size and rate of a film: pixels, pixels, frames per second."""

    width: int
    height: int
    fps: int


def add_h264_stream(container: OutputContainer, video: VideoFormat, options: Mapping[str, str]) -> VideoStream:
    """A stream for ``video`` in ``container``, with ``options`` for x264. Sizes must be even."""
    stream = container.add_stream("libx264", rate=video.fps, options=dict(options))
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, video.fps)
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def encode(stream: VideoStream, frames: Iterable[np.ndarray], first: int, fps: int) -> Iterator[list[Packet]]:
    """The packets of each of ``frames``, uint8 [H, W, 3] RGB, numbered from ``first``; they begin with a key frame."""
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT,
        )
        frame.pts, frame.time_base = first + index, Fraction(1, fps)
        frame.pict_type = PictureType.NONE if index else PictureType.I
        yield stream.encode(frame)


# To be looked at once, at a distance: crf 18 where the exported film (media/mp4) has 15. No B-frames and no look-ahead,
# so that nothing waits inside the encoder.
_X264 = {"crf": "18", "preset": "veryfast", "tune": "zerolatency", "profile": "high", "threads": "1"}


@dataclass(frozen=True, slots=True)
class Segment:
    """``data``: ftyp, moov, moof, mdat, from time 0; ``mime``: what a browser's SourceBuffer has to be opened for."""

    data: bytes
    mime: str


def segment(frames: np.ndarray, video: VideoFormat) -> Segment:
    """``frames`` uint8 [T, H, W, 3] RGB, T > 0, of even size, as one segment of T / fps seconds."""
    target = io.BytesIO()
    flags = {"movflags": "+empty_moov+default_base_moof+skip_trailer", "fflags": "+bitexact"}
    with av.open(target, "w", format="mp4", options=flags) as container:
        stream = add_h264_stream(container, video, _X264)
        for packets in encode(stream, frames, 0, video.fps):
            container.mux(packets)
        container.mux(stream.encode(None))
    data = target.getvalue()
    return Segment(data, f'video/mp4; codecs="avc1.{_profile(data)}"')


def following(data: bytes, number: int, first: int, fps: int) -> bytes:
    """The segment ``data`` as fragment ``number``, from 0, of one stream, in which ``first`` frames come before it.

    All but the first lose their initialisation: pieces of one format, one behind the other, are one MP4.
    """
    if number == 0:
        return data
    mdhd, moof = data.index(b"mdhd"), data.index(b"moof") - 4
    (timescale,) = struct.unpack_from(">I", data, mdhd + (24 if data[mdhd + 4] else 16))
    piece = bytearray(data[moof:])
    struct.pack_into(">I", piece, piece.index(b"mfhd") + 8, number + 1)
    tfdt = piece.index(b"tfdt")
    struct.pack_into(">Q" if piece[tfdt + 4] else ">I", piece, tfdt + 8, first * timescale // fps)
    return bytes(piece)


@lru_cache(maxsize=16)
def mime_type(video: VideoFormat) -> str:
    """What a browser's SourceBuffer has to be opened for to play segments of ``video``: one frame tells."""
    return segment(np.zeros((1, video.height, video.width, 3), np.uint8), video).mime


def _profile(data: bytes) -> str:
    """Profile, constraints and level of the stream, six hexadecimal digits: bytes 1 to 3 of the avcC box."""
    start = data.index(b"avcC") + 5
    return data[start : start + 3].hex()
