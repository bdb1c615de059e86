"""H.264 as this house writes it: BT.709 colours, limited range, 4:2:0, converted exactly.

Axes: T frames · H, W pixels
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from shotstream.core.config import Config
from shotstream.media.video import EXACT


class Picture(Config):
    """Size and rate of a film: pixels, pixels, frames per second."""

    width: int
    height: int
    fps: int


def add_h264_stream(container: OutputContainer, picture: Picture, options: Mapping[str, str]) -> VideoStream:
    """A stream for ``picture`` in ``container``, with ``options`` for x264. Sizes must be even."""
    stream = container.add_stream("libx264", rate=picture.fps, options=dict(options))
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, picture.fps)
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def encode(stream: VideoStream, frames: np.ndarray, first: int, fps: int) -> Iterator[list[Packet]]:
    """The packets of ``frames`` uint8 [T, H, W, 3] RGB, numbered from ``first``; they begin with a key frame."""
    for index, pixels in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT,
        )
        picture.pts, picture.time_base = first + index, Fraction(1, fps)
        picture.pict_type = PictureType.NONE if index else PictureType.I
        yield stream.encode(picture)
