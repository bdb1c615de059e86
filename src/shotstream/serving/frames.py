"""Pictures on the wire: a header of 20 bytes, then a JPEG. The same in a binary WebSocket frame and, one behind the
other, in the body of a take fetched over HTTP.

    offset  0  2 bytes  "SF"
            2  1 byte   version, 1
            3  1 byte   bit 0: live (made just now)
            4  uint32   take id
            8  uint32   frame of the take, from 0
           12  uint32   shot, from 0
           16  uint32   bytes of the JPEG

Numbers are little-endian.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

MAGIC, HEADER_VERSION = b"SF", 1
HEADER = struct.Struct("<2sBBIIII")
QUALITY = 88
LIVE = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame on its way to a viewer."""

    take: int
    frame: int
    shot: int
    jpeg: bytes
    live: bool = False


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 3] RGB as a JPEG."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=QUALITY, subsampling=0)
    return target.getvalue()


def pack(picture: Picture) -> bytes:
    """Header and JPEG."""
    flags = LIVE if picture.live else 0
    numbers = (flags, picture.take, picture.frame, picture.shot, len(picture.jpeg))
    return HEADER.pack(MAGIC, HEADER_VERSION, *numbers) + picture.jpeg


def unpack(data: bytes) -> list[Picture]:
    """The pictures in ``data``, one behind the other. Raises ValueError for anything else."""
    found, at = [], 0
    while at < len(data):
        if len(data) - at < HEADER.size:
            raise ValueError("cut short inside a header")
        magic, version, flags, take, frame, shot, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        if (magic, version) != (MAGIC, HEADER_VERSION):
            raise ValueError(f"not a picture of version {HEADER_VERSION}")
        if len(data) - at < size:
            raise ValueError("cut short inside a JPEG")
        found.append(Picture(take, frame, shot, data[at : at + size], bool(flags & LIVE)))
        at += size
    return found
