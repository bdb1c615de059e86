"""Drawing on a Skia canvas: plain shapes in world units, tinted by the light.

Shapes drawn with an outline (or ``solid=True``) leave their contour in ``contour``, from which exact
bounding boxes are computed later. What it drew is kept as small images: made once per shot, then placed and turned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import skia

from shotstream.data.world.palette import RGB

Point = tuple[float, float]


@lru_cache(maxsize=4096)
def argb(colour: RGB, alpha: float = 1.0) -> int:
    """A Skia colour from 0..255 components and 0..1 opacity."""
    red, green, blue = (min(255, max(0, round(value))) for value in colour)
    return int(skia.ColorSetARGB(round(255 * alpha), red, green, blue))


def oval(x: float, y: float, rx: float, ry: float) -> skia.Path:
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> skia.Path:
    path = skia.Path()
    path.addRoundRect(skia.Rect.MakeLTRB(left, top, right, bottom), radius, radius)
    return path


def polygon(points: Sequence[Point]) -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in points], True)
    return path


def smooth(points: Sequence[Point], closed: bool = True) -> skia.Path:
    """A Catmull-Rom curve through the points."""
    count = len(points)
    path = skia.Path()
    path.moveTo(*points[0])
    for index in range(count if closed else count - 1):
        if closed:
            before, start, end, after = (points[(index + step) % count] for step in (-1, 0, 1, 2))
        else:
            before, start = points[max(index - 1, 0)], points[index]
            end, after = points[index + 1], points[min(index + 2, count - 1)]
        path.cubicTo(
            start[0] + (end[0] - before[0]) / 6,
            start[1] + (end[1] - before[1]) / 6,
            end[0] - (after[0] - start[0]) / 6,
            end[1] - (after[1] - start[1]) / 6,
            end[0],
            end[1],
        )
    if closed:
        path.close()
    return path


def mapped(path: skia.Path, matrix: skia.Matrix) -> skia.Path:
    result = skia.Path()
    path.transform(matrix, result)
    return result


def moved(path: skia.Path, dx: float, dy: float) -> skia.Path:
    return mapped(path, skia.Matrix.Translate(dx, dy))


def turned(path: skia.Path, degrees: float, x: float, y: float) -> skia.Path:
    return mapped(path, skia.Matrix.RotateDeg(degrees, skia.Point(x, y)))


def common(first: skia.Path, second: skia.Path) -> skia.Path:
    return skia.Op(first, second, skia.PathOp.kIntersect_PathOp)


def without(first: skia.Path, second: skia.Path) -> skia.Path:
    return skia.Op(first, second, skia.PathOp.kDifference_PathOp)


def union(first: skia.Path, second: skia.Path) -> skia.Path:
    return skia.Op(first, second, skia.PathOp.kUnion_PathOp)


def contour_points(path: skia.Path, samples: int = 24) -> list[Point]:
    """Points along every contour of a path."""
    points: list[Point] = []
    measure = skia.PathMeasure(path, False)
    while True:
        length = measure.getLength()
        for index in range(samples):
            position, _ = measure.getPosTan(length * index / samples)
            points.append((position.x(), position.y()))
        if not measure.nextContour():
            return points


class Pen:
    """Draws shapes; ``tone`` maps daylight colours to the shot's light. ``outline`` is in world units."""

    def __init__(self, canvas: skia.Canvas, tone: Callable[[RGB], RGB], outline: float = 0.0) -> None:
        self.canvas = canvas
        self.tone = tone
        self.outline = outline
        self.contour: list[Point] = []
        self.reach = skia.Rect.MakeEmpty()

    def _paint(self, path: skia.Path, paint: skia.Paint, margin: float = 0.0) -> None:
        bounds = path.getBounds().makeOutset(margin, margin)
        self.reach.join(bounds)
        self.canvas.drawPath(path, paint)

    def fill(self, path: skia.Path, colour: RGB, alpha: float = 1.0, *, lit: bool = False) -> None:
        """``lit``: it shines by itself, no tint."""
        shade = colour if lit else self.tone(colour)
        self._paint(path, skia.Paint(AntiAlias=True, Color=argb(shade, alpha)))

    def gradient(self, path: skia.Path, top: RGB, bottom: RGB, alphas: tuple[float, float] = (1.0, 1.0)) -> None:
        """A vertical gradient over the path's height. For still layers only: gradients are slow."""
        bounds = path.getBounds()
        colours = [argb(self.tone(top), alphas[0]), argb(self.tone(bottom), alphas[1])]
        ends = [skia.Point(0, bounds.top()), skia.Point(0, bounds.bottom())]
        self._paint(path, skia.Paint(AntiAlias=True, Shader=skia.GradientShader.MakeLinear(ends, colours)))

    def glow(self, x: float, y: float, radius: float, colour: RGB, alpha: float) -> None:
        """A soft round light (still layers only)."""
        shader = skia.GradientShader.MakeRadial(skia.Point(x, y), radius, [argb(colour, alpha), argb(colour, 0.0)])
        self.canvas.drawCircle(x, y, radius, skia.Paint(AntiAlias=True, Shader=shader))

    def line(self, path: skia.Path, colour: RGB, width: float, alpha: float = 1.0) -> None:
        paint = skia.Paint(AntiAlias=True, Color=argb(self.tone(colour), alpha), StrokeWidth=width)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeCap(skia.Paint.kRound_Cap)
        paint.setStrokeJoin(skia.Paint.kRound_Join)
        self._paint(path, paint, width / 2)

    def shape(self, path: skia.Path, colour: RGB, ink: RGB) -> None:
        """A filled shape with an outline; it counts for the bounds."""
        self.fill(path, colour)
        self.edge(path, ink)

    def edge(self, path: skia.Path, ink: RGB) -> None:
        """The outline alone; it counts for the bounds."""
        self.line(path, ink, self.outline)
        reach = self.outline / 2
        for x, y in contour_points(path):
            self.contour += [(x - reach, y - reach), (x + reach, y + reach)]


def record(draw: Callable[[skia.Canvas], None]) -> skia.Picture:
    """A replayable picture of what ``draw`` does."""
    recorder = skia.PictureRecorder()
    draw(recorder.beginRecording(skia.Rect.MakeLTRB(-50, -50, 50, 50)))
    return recorder.finishRecordingAsPicture()


def arc_points(x: float, y: float, radius: float, start: float, end: float, count: int = 9) -> list[Point]:
    """Points on a circle between two angles in degrees (0 is right, 90 is down)."""
    angles = np.radians(np.linspace(start, end, count))
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


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

    def draw(self, canvas: skia.Canvas, matrix: skia.Matrix, paint: skia.Paint | None = None) -> None:
        """Places the part; ``matrix`` maps its units to pixels. ``paint``: draws it otherwise than as it is.

        Large turned images are slow to sample: those are drawn from their shapes again.
        """
        if matrix[1] and self.image.width() * self.image.height() > LARGE:
            canvas.setMatrix(matrix)
            canvas.drawPicture(self.picture, None, paint)
            canvas.resetMatrix()
            return
        canvas.setMatrix(skia.Matrix.Concat(matrix, self.placement))
        canvas.drawImage(self.image, 0, 0, SMOOTH, paint)
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
