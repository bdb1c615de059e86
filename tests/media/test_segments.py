"""Segments are read back by FFmpeg alone and behind one another."""

from __future__ import annotations

import io
import re

import av
import numpy as np
import pytest

from shotstream.media.h264 import VideoFormat, following, segment

VIDEO = VideoFormat(width=96, height=64, fps=16)


def frames(count: int, seed: int = 0) -> np.ndarray:
    """A square that moves over a ground."""
    pixels = np.full((count, VIDEO.height, VIDEO.width, 3), 40 + 60 * seed, np.uint8)
    for index in range(count):
        pixels[index, 20:40, 4 + 3 * index : 24 + 3 * index] = (220, 60, 30)
    return pixels


def test_a_segment_stands_alone() -> None:
    truth = frames(9)
    made = segment(truth, VIDEO)
    with av.open(io.BytesIO(made.data)) as container:
        stream = container.streams.video[0]
        read = list(container.decode(stream))
        assert (stream.codec_context.width, stream.codec_context.height) == (VIDEO.width, VIDEO.height)
    assert read[0].key_frame
    assert [float(frame.time) for frame in read] == pytest.approx([index / VIDEO.fps for index in range(9)])
    error = np.stack([frame.to_ndarray(format="rgb24") for frame in read]).astype(float) - truth
    assert np.abs(error).mean() < 3
    assert re.fullmatch(r'video/mp4; codecs="avc1\.6400[0-9a-f]{2}"', made.mime)  # high profile
    assert b"moof" in made.data and made.data.index(b"moov") < made.data.index(b"moof") < made.data.index(b"mdat")


def test_one_frame_is_a_segment_too() -> None:
    with av.open(io.BytesIO(segment(frames(1), VIDEO).data)) as container:
        assert len(list(container.decode(video=0))) == 1


def test_segments_that_follow_each_other_are_one_stream() -> None:
    truth = frames(33)
    cuts = ((0, 9), (9, 21), (21, 33))
    pieces = [
        following(segment(truth[start:stop], VIDEO).data, number, start, VIDEO.fps)
        for number, (start, stop) in enumerate(cuts)
    ]
    with av.open(io.BytesIO(b"".join(pieces))) as container:
        read = list(container.decode(video=0))
    assert [float(frame.time) for frame in read] == pytest.approx([index / VIDEO.fps for index in range(33)], abs=1e-4)
    error = np.stack([frame.to_ndarray(format="rgb24") for frame in read]).astype(float) - truth
    assert np.abs(error).mean() < 3
    assert [piece.count(b"moov") for piece in pieces] == [1, 0, 0]
