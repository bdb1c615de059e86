"""A block of a shot, and frames as other libraries take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


class Frames:
    """What has ``frames``, uint8 [T, height, width, 3] RGB."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def frames(self) -> np.ndarray: ...

    def images(self) -> list[Image.Image]:
        """A PIL image per frame."""
        from PIL import Image

        return [Image.fromarray(frame) for frame in self.frames]

    def tensor(self) -> Tensor:
        """float32 [T, 3, height, width], RGB from 0 to 1, as torchvision and diffusers have it."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.frames.transpose(0, 3, 1, 2))).float() / 255


@dataclass(frozen=True, slots=True, eq=False)
class Block(Frames):
    """One block of a shot: the ``index``-th from 0, ``frames`` uint8 [T, height, width, 3] RGB.

    T is 9 for a shot's first block and 12 for the others::

        for block in film.shot("The fox waves."):
            show(block.images())  # or block.frames, or block.tensor()
    """

    index: int
    frames: np.ndarray

    def __repr__(self) -> str:
        count, height, width, _ = self.frames.shape
        return f"<block {self.index}: {count} frames of {width}x{height}>"
