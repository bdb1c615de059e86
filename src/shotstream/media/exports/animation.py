"""Moving pictures for a web page or a chat: animated GIF and WebP, from a shot or a whole film."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from shotstream.core.files import write_bytes
from shotstream.media.exports.timeline import Timeline
from shotstream.media.provenance import xmp_packet
from shotstream.media.storyboard import spread

WEBP_QUALITY = 90
PALETTE_FRAMES = 6  # of a shot, from which its 256 colours are chosen


def write_webp(timeline: Timeline, path: Path) -> None:
    """An animated WebP that plays for ever, whole or not at all. Raises :class:`StorageError`."""
    first, *others = (Image.fromarray(frame) for shot in timeline.shots for frame in shot.read(None))
    data = io.BytesIO()
    first.save(
        data,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=shown_for(timeline.frames, timeline.picture.fps, 1),
        loop=0,
        quality=WEBP_QUALITY,
        xmp=xmp_packet(timeline.tags),
    )
    write_bytes(path, data.getvalue())


def write_gif(timeline: Timeline, path: Path) -> None:
    """An animated GIF that plays for ever, 256 colours per shot. Raises :class:`StorageError`."""
    first, *others = (frame for shot in timeline.shots for frame in _in_256_colours(shot.read(None)))
    data = io.BytesIO()
    first.save(
        data,
        "GIF",
        save_all=True,
        append_images=others,
        duration=shown_for(timeline.frames, timeline.picture.fps, 10),
        loop=0,
        comment=timeline.tags.as_metadata()["comment"].encode(),
    )
    write_bytes(path, data.getvalue())


def shown_for(frames: int, fps: int, step: int) -> list[int]:
    """Milliseconds each of ``frames`` frames is shown, in whole ``step``: none begins more than half a step off."""
    starts = [round(1000 * frame / fps / step) * step for frame in range(frames + 1)]
    return [after - start for start, after in pairwise(starts)]


def _in_256_colours(frames: np.ndarray) -> Iterator[Image.Image]:
    """``frames`` uint8 [T, height, width, 3] as pictures with one palette: a still background must not flicker."""
    sample = Image.fromarray(np.concatenate(spread(frames, PALETTE_FRAMES)))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    for frame in frames:
        yield Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
