"""Reads still pictures as they are shown: turned as their camera was held, in sRGB, transparent parts black.

What would come out wrong is refused by name.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from shotstream.core.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAX_PIXELS = 64 << 20  # of a picture, and of a frame of video; 8K video has half
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")  # modes whose numbers are colours as they are shown
_BROKEN = (OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, IndexError)  # what Pillow raises


def read_picture(path: Path) -> np.ndarray | None:
    """The still picture in ``path``, whatever it is called: uint8 [height, width, 3] RGB; None if it is none.

    A moving picture (GIF, WebP, PNG) is none. Raises :class:`InputError` if it is damaged, larger than
    :data:`MAX_PIXELS`, or its colours cannot be shown rightly.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a clip or a picture")
    try:
        image = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise _too_large(path) from fault
    except _BROKEN as fault:
        raise _damaged(path, fault) from fault
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(path)
        try:
            moves = hasattr(image, "n_frames") and image.n_frames > 1
            return None if moves else _shown(image, path)
        except _BROKEN as fault:
            raise _damaged(path, fault) from fault


def _shown(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode not in _EIGHT_BIT:
        raise InputError(
            f"{path}: its colours are coded in a way that is not read ({image.mode}); save it in 8-bit RGB"
        )
    image.load()
    profile, image = image.info.get("icc_profile"), ImageOps.exif_transpose(image)
    clear = image.has_transparency_data
    image = image.convert("RGBA" if clear else "RGB")
    if profile:
        srgb = ImageCms.createProfile("sRGB")
        try:
            there = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if there.profile.xcolor_space.strip() == "RGB":  # grey ones describe what has no colour to begin with
                image = ImageCms.profileToProfile(image, there, srgb, outputMode=image.mode) or image
        except ImageCms.PyCMSError as fault:
            raise InputError(f"{path}: its colour profile cannot be used; save it in sRGB") from fault
    if clear:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")
    return np.asarray(image)


def _too_large(path: Path) -> InputError:
    return InputError(f"{path}: has more than {MAX_PIXELS >> 20} million pixels; make it smaller")


def _damaged(path: Path, fault: BaseException) -> InputError:
    said = " ".join(str(fault).split())[:100] or type(fault).__name__
    return InputError(f"{path}: damaged picture ({said}); make or fetch it again")
