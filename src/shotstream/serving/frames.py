"""Pictures on the wire: a header, then a JPEG of one frame or an MP4 of a whole block. The same in a binary WebSocket
frame and, one behind the other, in the body of a take fetched over HTTP (always JPEG).

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

from shotstream.serving.wire_types import PictureKind

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
