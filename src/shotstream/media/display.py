"""Converts a decoded frame to what a player shows: colours, orientation, pixel shape, transparency.

What would come out wrong is refused by name, never shown as something else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image, ImageOps

from shotstream.core.errors import InputError

# Between RGB and YUV: swscale's quick default is biased by a whole level and 10 dB worse than this.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
# Numbers of ITU-T H.273, as FFmpeg uses them.
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics
RGB, UNSTATED = 0, 2  # matrix coefficients
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,  # SMPTE 170M: the same coefficients
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
WIDE_GAMUT = 9  # colour primaries of BT.2020
GREYS = ("gray", "ya8", "ya16")
_LIMITED = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)  # to full range
GAMMA = 2.4  # of a display (ITU-R BT.1886)
# Linear BT.2020 to linear BT.709 (ITU-R BT.2087-0, section 2, inverted).
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
HD = (1280, 576)  # width from which, or height above which, unstated colours are BT.709; else BT.601


def displayed(frame: av.VideoFrame, aspect: float, name: str) -> np.ndarray:
    """``frame`` as it is displayed, uint8 [height, width, 3] RGB; transparent parts are black.

    aspect: width of a pixel over its height. name: what errors call the video. Raises :class:`InputError` for colours
    and angles that cannot be shown rightly.
    """
    refuse_what_cannot_be_shown(frame, name)
    pixels = _as_rgb(frame)
    if frame.color_primaries == WIDE_GAMUT:
        pixels = _in_bt709_gamut(pixels)
    if abs(aspect - 1) * frame.width >= 1:
        size = (round(frame.width * aspect), frame.height)
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    way = _orientation(frame, name)
    pixels = pixels.swapaxes(0, 1) if way.transposed else pixels
    return np.ascontiguousarray(pixels[:: way.down, :: way.across])


def fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """``picture`` uint8 [H, W, 3], scaled until it covers ``width`` x ``height``, its middle cut out."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    return np.asarray(ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS))


def refuse_what_cannot_be_shown(frame: av.VideoFrame, name: str) -> None:
    """Raise :class:`InputError` for a damaged ``frame``, and for one whose colours or angle would come out wrong."""
    if frame.is_corrupt:
        when = "" if frame.time is None else f" at {frame.time:.2f} s"
        raise InputError(f"{name}: damaged video (a broken picture{when}); make or fetch it again")
    if frame.color_trc in HDR:
        kind = HDR[frame.color_trc]
        raise InputError(
            f"{name}: is high dynamic range video ({kind}), whose colours would be wrong; convert it to SDR"
        )
    if not _is_rgb(frame) and frame.colorspace not in (*MATRICES, UNSTATED):
        raise InputError(
            f"{name}: its colours are coded in a way that is not read (matrix {int(frame.colorspace)} of H.273); "
            "convert it to BT.709"
        )
    _orientation(frame, name)


def _as_rgb(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [height, width, 3] by the matrix and range that the frame states, or that players assume."""
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj") or _is_rgb(frame)
    stated = MATRICES.get(int(frame.colorspace))
    assumed = Colorspace.ITU709 if frame.width >= HD[0] or frame.height > HD[1] else Colorspace.ITU601
    has_alpha = any(component.is_alpha for component in frame.format.components)
    picture = frame.reformat(
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=stated or assumed,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=EXACT,
    ).to_ndarray()
    if frame.format.name.startswith(GREYS) and frame.color_range == ColorRange.MPEG:  # swscale takes all grey for full
        picture[..., :3] = _LIMITED[picture[..., :3]]
    if not has_alpha:
        return picture
    shown = picture[..., :3].astype(np.uint16) * picture[..., 3:]
    return ((shown + 127) // 255).astype(np.uint8)


def _is_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.name.startswith((*GREYS, "pal", "mono"))


def _in_bt709_gamut(pixels: np.ndarray) -> np.ndarray:
    """Colours of BT.2020 primaries as BT.709 shows them; those it cannot show are clipped."""
    linear = (np.arange(256, dtype=np.float32) / 255) ** GAMMA
    light = np.clip(linear[pixels] @ TO_BT709.T, 0, 1)
    return np.asarray(np.round(255 * light ** (1 / GAMMA)), np.uint8)


@dataclass(frozen=True, slots=True)
class _Orientation:
    """Rows and columns changed places, then the order (1 or -1) in which columns and rows are shown."""

    transposed: bool = False
    across: int = 1
    down: int = 1


def _orientation(frame: av.VideoFrame, name: str) -> _Orientation:
    """What the display matrix a, b, c, d says, by which (x, y) is shown at (a x + c y, b x + d y).

    Raises :class:`InputError` for other than right angles.
    """
    found = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(found, SideData):
        return _Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found)[:36])
    if not (b or c) and a and d:
        return _Orientation(False, 1 if a > 0 else -1, 1 if d > 0 else -1)
    if not (a or d) and b and c:
        return _Orientation(True, 1 if c > 0 else -1, 1 if b > 0 else -1)
    raise InputError(f"{name}: its rotation is not a multiple of 90 degrees; rotate it and save it again")
