"""A block of film as a self-contained piece of fragmented MP4, for a browser's Media Source Extensions.

Every segment brings its own initialisation and begins with a key frame: a viewer can come in at any of them, and one
that is late can be left out without harm to the next. It costs about a kilobyte a segment.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np

from shotstream.media.h264 import Picture, add_h264_stream, encode

# To be looked at once, at a distance: crf 18 where the exported film (media/mp4) has 15. No B-frames and no look-ahead,
# so that nothing waits inside the encoder.
_X264 = {"crf": "18", "preset": "veryfast", "tune": "zerolatency", "profile": "high", "threads": "1"}


@dataclass(frozen=True, slots=True)
class Segment:
    """``data``: ftyp, moov, moof, mdat, from time 0; ``mime``: what a browser's SourceBuffer has to be opened for."""

    data: bytes
    mime: str


def segment(frames: np.ndarray, picture: Picture) -> Segment:
    """``frames`` uint8 [T, H, W, 3] RGB, T > 0, of even size, as one segment of T / fps seconds."""
    target = io.BytesIO()
    flags = {"movflags": "+empty_moov+default_base_moof+skip_trailer", "fflags": "+bitexact"}
    with av.open(target, "w", format="mp4", options=flags) as container:
        stream = add_h264_stream(container, picture, _X264)
        for packets in encode(stream, frames, 0, picture.fps):
            container.mux(packets)
        container.mux(stream.encode(None))
    data = target.getvalue()
    return Segment(data, f'video/mp4; codecs="avc1.{_profile(data)}"')


@lru_cache(maxsize=16)
def mime_type(picture: Picture) -> str:
    """What a browser's SourceBuffer has to be opened for to play segments of ``picture``: one frame tells."""
    return segment(np.zeros((1, picture.height, picture.width, 3), np.uint8), picture).mime


def _profile(data: bytes) -> str:
    """Profile, constraints and level of the stream, six hexadecimal digits: bytes 1 to 3 of the avcC box."""
    start = data.index(b"avcC") + 5
    return data[start : start + 3].hex()
