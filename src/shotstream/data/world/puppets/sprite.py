"""Body parts as small images: drawn once per shot with the pen, then only placed, turned and scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skia

from shotstream.data.world.palette import RGB
from shotstream.data.world.pen import Pen, record

LARGE = 6000  # pixels
SMOOTH = skia.SamplingOptions(skia.FilterMode.kLinear)


@dataclass(frozen=True, slots=True)
class Sprite:
    """``placement`` maps the image's pixels to the part's own units; ``contour``: the outlined shapes'
    points in those units, as [3, N] (x, y, 1)."""

    image: skia.Image
    picture: skia.Picture
    placement: skia.Matrix
    contour: np.ndarray

    def draw(self, canvas: skia.Canvas, matrix: skia.Matrix) -> None:
        """Places the part; ``matrix`` maps its units to pixels.

        Large turned images are slow to sample: those are drawn from their shapes again.
        """
        if matrix[1] and self.image.width() * self.image.height() > LARGE:
            canvas.setMatrix(matrix)
            canvas.drawPicture(self.picture)
            canvas.resetMatrix()
            return
        canvas.setMatrix(skia.Matrix.Concat(matrix, self.placement))
        canvas.drawImage(self.image, 0, 0, SMOOTH, None)
        canvas.resetMatrix()


def make_sprite(draw: Callable[[Pen], None], tone: Callable[[RGB], RGB], outline: float, scale: float) -> Sprite:
    """Draws a part once. ``scale``: pixels per unit."""
    pens: list[Pen] = []

    def run(canvas: skia.Canvas) -> None:
        pens.append(Pen(canvas, tone, outline))
        draw(pens[0])

    picture = record(run)
    margin = 2 / scale
    reach = pens[0].reach.makeOutset(margin, margin)
    info = skia.ImageInfo.Make(
        max(1, int(reach.width() * scale) + 2),
        max(1, int(reach.height() * scale) + 2),
        skia.kBGRA_8888_ColorType,
        skia.kPremul_AlphaType,
    )
    surface = skia.Surface.MakeRaster(info)
    canvas = surface.getCanvas()
    canvas.clear(0)
    canvas.scale(scale, scale)
    canvas.translate(-reach.left(), -reach.top())
    canvas.drawPicture(picture)
    points = np.asarray(pens[0].contour, dtype=np.float64).reshape(-1, 2).T
    placement = skia.Matrix.MakeAll(1 / scale, 0, reach.left(), 0, 1 / scale, reach.top(), 0, 0, 1)
    return Sprite(
        surface.makeImageSnapshot(), picture, placement, np.concatenate([points, np.ones((1, points.shape[1]))])
    )
