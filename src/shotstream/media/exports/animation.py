"""Export as animated GIF and WebP, of a shot or a whole film."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image, ImageChops

from shotstream.core.files import whole_file
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline, TimelineShot
from shotstream.media.provenance import xmp_packet
from shotstream.media.storyboard import spread_over

WEBP_QUALITY = 90
PALETTE_FRAMES = 6  # of a shot, from which its 256 colours are chosen


def write_webp(timeline: Timeline, path: Path) -> None:
    """An animated WebP that plays for ever, whole or not at all; frames are read one by one. Raises
    :class:`StorageError`."""
    with whole_file(path) as temporary:
        _Reel(timeline).save(
            temporary,
            "WEBP",
            save_all=True,
            duration=shown_for(timeline.frames, timeline.video.fps, 1),
            loop=0,
            quality=WEBP_QUALITY,
            xmp=xmp_packet(timeline.tags),
        )


class _Reel(Image.Image):
    """A film as Pillow's writers see an animated picture: a frame is read when it is asked for, in order."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self.n_frames = timeline.frames
        self._frames = (frame for shot in timeline.shots for frame in shot.pictures())
        self._shown = -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        while self._shown < frame:
            picture = Image.fromarray(next(self._frames))
            self.im, self._mode, self._size = picture.im, picture.mode, picture.size
            self._shown += 1

    def tell(self) -> int:
        return self._shown


def write_gif(timeline: Timeline, path: Path) -> None:
    """An animated GIF that plays for ever, 256 colours per shot, written frame by frame. Raises
    :class:`StorageError`."""
    times = iter(shown_for(timeline.frames, timeline.video.fps, 10))
    comment = timeline.tags.as_metadata()["comment"].encode()
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for number, shot in enumerate(timeline.shots):
            for at, change in enumerate(_changes(_in_256_colours(shot), times)):
                if number == at == 0:
                    header, _ = GifImagePlugin.getheader(change.part, info={"loop": 0, "comment": comment})
                    file.writelines(header)
                file.writelines(_blocks(change, own_palette=number > 0))
        file.write(b";")


class _Change(NamedTuple):
    """The part of a picture that differs from the one before, where it lies, and for how many milliseconds it shows."""

    part: Image.Image
    left: int
    top: int
    shown: int


def _changes(pictures: Iterator[Image.Image], times: Iterator[int]) -> Iterator[_Change]:
    """The first of ``pictures``, of one palette, whole, then what of each differs from the one before; where nothing
    does, that one shows for longer."""
    before = next(pictures)
    waiting = _Change(before, 0, 0, next(times))
    for picture in pictures:
        shown, box = next(times), ImageChops.subtract_modulo(picture, before).getbbox()
        if box is None:
            waiting = waiting._replace(shown=waiting.shown + shown)
        else:
            yield waiting
            waiting = _Change(picture.crop(box), box[0], box[1], shown)
        before = picture
    yield waiting


def _blocks(change: _Change, *, own_palette: bool) -> list[bytes]:
    """The part of a GIF that shows ``change``."""
    place = (change.left, change.top)
    return GifImagePlugin.getdata(change.part, place, duration=change.shown, include_color_table=own_palette)


def shown_for(frames: int, fps: int, step: int) -> list[int]:
    """Milliseconds each of ``frames`` frames is shown, in whole ``step``: none begins more than half a step off."""
    starts = [round(1000 * frame / fps / step) * step for frame in range(frames + 1)]
    return [after - start for start, after in pairwise(starts)]


def _in_256_colours(shot: TimelineShot) -> Iterator[Image.Image]:
    """The frames of ``shot`` as pictures with one palette: a still background must not flicker."""
    sample = Image.fromarray(np.concatenate(shot.read(spread_over(shot.frames, PALETTE_FRAMES))))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    for frame in shot.pictures():
        yield Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


FORMATS = (
    Format(name="gif", suffixes=(".gif",), kind="image/gif", write=write_gif, per_shot=True),
    Format(name="webp", suffixes=(".webp",), kind="image/webp", write=write_webp, per_shot=True),
)
