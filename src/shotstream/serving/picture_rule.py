"""Who gets which kind of live pictures: JPEG frame by frame, or MP4 block by block, by size and distance."""

from __future__ import annotations

from pydantic import Field

from shotstream.core.config import Config
from shotstream.media.h264 import Picture
from shotstream.media.segments import mime_type
from shotstream.serving.protocol import FilmView, Pictures
from shotstream.serving.wire_types import PictureKind, PictureKinds


class PictureRule(Config):
    """From so many pixels a picture on, a viewer gets MP4. ``near``: on this machine, where bytes cost nothing but
    what encoding and decoding them takes; ``far``: on another one."""

    near: int = Field(default=100_000, gt=0)
    far: int = Field(default=40_000, gt=0)

    def kind(self, width: int, height: int, plays: PictureKinds, *, near: bool) -> PictureKind:
        """What suits a viewer that can show ``plays``. Sizes in pixels; H.264 needs even ones."""
        large = width * height >= (self.near if near else self.far)
        even = width % 2 == 0 and height % 2 == 0
        return "mp4" if large and even and "mp4" in plays else "jpeg"


USUAL = PictureRule()


def pictures_for(rule: PictureRule, film: FilmView, plays: PictureKinds, *, near: bool) -> Pictures:
    """How a viewer of ``film`` gets its pictures. Encodes a frame, the first time a size is asked for."""
    kind = rule.kind(film.width, film.height, plays, near=near)
    shape = Picture(width=film.width, height=film.height, fps=film.fps)
    return Pictures(kind=kind, mime=mime_type(shape) if kind == "mp4" else None)
