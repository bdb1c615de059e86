"""The frames of a clip's shots, as training sees them: strided, cut, trimmed, at the geometry's size.

Axes: T pixel frames, H, W pixels
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.data.clip_check import trained_frames
from shotstream.data.clip_manifest import Clip
from shotstream.media.video import iterate_frames


def shots_of(clip: Clip, geometry: Geometry) -> Iterator[NDArray[np.uint8]]:
    """uint8 [T, H, W, 3] of every shot in order; the video is decoded once. Raises :class:`InputError`."""
    chosen = [_chosen(first, last, geometry) for first, last in clip.ranges]
    shot, frames = 0, []
    for number, picture in enumerate(iterate_frames(clip.video)):
        if number in chosen[shot]:
            frames.append(fitted(picture, geometry.width, geometry.height))
        if number == chosen[shot][-1]:
            yield np.stack(frames)
            shot, frames = shot + 1, []
            if shot == len(chosen):
                return
    raise InputError(f"{clip.place}: {clip.video} ends before shot {shot + 1} does; run shotstream data check")


def fitted(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``picture`` [H, W, 3], scaled until it covers ``width`` x ``height``, its middle cut out."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = max(width / columns, height / rows)
    wide, high = max(width, round(columns * scale)), max(height, round(rows * scale))
    scaled = Image.fromarray(picture).resize((wide, high), Image.Resampling.LANCZOS)
    left, top = (wide - width) // 2, (high - height) // 2
    return np.asarray(scaled.crop((left, top, left + width, top + height)))


def _chosen(first: int, last: int, geometry: Geometry) -> range:
    stride, frames = trained_frames(last - first, geometry)
    return range(first, first + stride * frames, stride)
