"""Frames on the wire: a header, then a JPEG of one frame or an MP4 of a block.

    offset  0  2 bytes  "SF"
            2  1 byte   version, 1
            3  1 byte   bit 0: live (made just now); bit 1: MP4
            4  uint32   take id
            8  uint32   frame of the take, from 0; of an MP4 its first
           12  uint32   shot, from 0
           16  uint32   bytes of the JPEG or MP4, which follows
           20  uint32   of an MP4 alone: how many frames it holds; then the MP4

Numbers are little-endian.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydantic import Field

from shotstream.core.config import Config
from shotstream.media.h264 import VideoFormat, mime_type
from shotstream.serving.client_messages import PictureKind, PictureKinds
from shotstream.serving.protocol import FilmView, Pictures

MAGIC, HEADER_VERSION = b"SF", 1
HEADER, LENGTH = struct.Struct("<2sBBIIII"), struct.Struct("<I")
QUALITY = 88
LIVE, MP4 = 1, 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame on its way to a viewer, or ``frames`` of them from ``frame`` on as a piece of MP4."""

    take: int
    frame: int
    shot: int
    data: bytes
    live: bool = False
    kind: PictureKind = "jpeg"
    frames: int = 1


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 3] RGB as a JPEG."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=QUALITY, subsampling=0)
    return target.getvalue()


def pack(picture: Picture) -> bytes:
    """Header and JPEG, or header and MP4."""
    mp4 = picture.kind == "mp4"
    flags = (LIVE if picture.live else 0) | (MP4 if mp4 else 0)
    head = HEADER.pack(MAGIC, HEADER_VERSION, flags, picture.take, picture.frame, picture.shot, len(picture.data))
    return head + (LENGTH.pack(picture.frames) if mp4 else b"") + picture.data


def unpack(data: bytes) -> list[Picture]:
    """The pictures in ``data``, one behind the other. Raises ValueError for anything else."""
    found, at = [], 0
    while at < len(data):
        if len(data) - at < HEADER.size:
            raise ValueError("cut short inside a header")
        magic, version, flags, take, frame, shot, size = HEADER.unpack_from(data, at)
        if (magic, version) != (MAGIC, HEADER_VERSION):
            raise ValueError(f"not a picture of version {HEADER_VERSION}")
        kind: PictureKind = "mp4" if flags & MP4 else "jpeg"
        at += HEADER.size
        begin = at + (LENGTH.size if kind == "mp4" else 0)
        if len(data) - begin < size:
            raise ValueError("cut short inside a picture")
        frames = LENGTH.unpack_from(data, at)[0] if kind == "mp4" else 1
        at = begin + size
        found.append(Picture(take, frame, shot, data[begin:at], bool(flags & LIVE), kind, frames))
    return found


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
    shape = VideoFormat(width=film.width, height=film.height, fps=film.fps)
    return Pictures(kind=kind, mime=mime_type(shape) if kind == "mp4" else None)
