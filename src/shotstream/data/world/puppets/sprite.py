"""Body parts as small images: drawn once with the pen, made into an image per shot, then placed, turned and scaled."""

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
class Drawing:
    """A part as the pen drew it, of no size yet. ``reach``: its bounds in the part's own units."""

    picture: skia.Picture
    reach: skia.Rect
    contour: np.ndarray


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


def draw_part(draw: Callable[[Pen], None], tone: Callable[[RGB], RGB], outline: float) -> Drawing:
    """What ``draw`` draws, kept."""
    pens: list[Pen] = []

    def run(canvas: skia.Canvas) -> None:
        pens.append(Pen(canvas, tone, outline))
        draw(pens[0])

    picture = record(run)
    points = np.asarray(pens[0].contour, dtype=np.float64).reshape(-1, 2).T
    return Drawing(picture, pens[0].reach, np.concatenate([points, np.ones((1, points.shape[1]))]))


def make_sprite(drawing: Drawing, scale: float) -> Sprite:
    """The part as an image. ``scale``: pixels per unit."""
    margin = 2 / scale
    reach = drawing.reach.makeOutset(margin, margin)
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
    canvas.drawPicture(drawing.picture)
    placement = skia.Matrix.MakeAll(1 / scale, 0, reach.left(), 0, 1 / scale, reach.top(), 0, 0, 1)
    return Sprite(surface.makeImageSnapshot(), drawing.picture, placement, drawing.contour)
